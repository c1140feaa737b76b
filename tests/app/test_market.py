"""An open market under a configuration that changes."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from vcpd.app.market import open_market
from vcpd.bhavcopy.sync import ExchangeClock
from vcpd.config import Configuration, load_configuration
from vcpd.runtime.clock import VirtualClock
from vcpd.schedule.policy import ScheduleSettings

FRIDAY = date(2026, 11, 20)


async def _compute(_function: Any, *_arguments: Any) -> Any:
    raise AssertionError("nothing is decoded here")


async def test_a_holiday_added_by_a_reload_counts_for_the_daily_files_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the door would wait for a bulletin that never comes, until the daemon starts anew."""
    path = tmp_path / "config.toml"
    path.write_text(f'[daemon]\nmarket = "bhavcopy"\n[bhavcopy]\nfolder = "{tmp_path}"\n', encoding="utf-8")
    clock = VirtualClock(datetime(2026, 11, 22, 6, tzinfo=UTC))
    opened: list[ExchangeClock] = []

    def noted(*arguments: Any) -> ExchangeClock:
        opened.append(ExchangeClock(*arguments))
        return opened[-1]

    monkeypatch.setattr("vcpd.app.market.ExchangeClock", noted)
    market = await open_market(load_configuration(path, {}), clock, tmp_path, _compute)
    try:
        (exchange_clock,) = opened
        assert exchange_clock.last_closed() == FRIDAY
        market.reconfigure(Configuration(schedule=ScheduleSettings(extra_holidays=(FRIDAY,))))
        assert exchange_clock.last_closed() == date(2026, 11, 19)
    finally:
        await market.close()
