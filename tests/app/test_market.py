"""An open market under a configuration that changes."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from vcpd.app.market import open_market
from vcpd.config import Configuration, load_configuration
from vcpd.domain.nse_calendar import NSE
from vcpd.runtime.clock import VirtualClock

FRIDAY = date(2026, 11, 20)


async def _compute(_function: Any, *_arguments: Any) -> Any:
    raise AssertionError("nothing is decoded here")


async def test_a_holiday_added_by_a_reload_counts_for_the_bulletins_at_once(tmp_path: Path) -> None:
    """Otherwise the door would wait for a bulletin that never comes, until the daemon starts anew."""
    path = tmp_path / "config.toml"
    path.write_text(f'[daemon]\nmarket = "bhavcopy"\n[bhavcopy]\nfolder = "{tmp_path}"\n', encoding="utf-8")
    clock = VirtualClock(datetime(2026, 11, 22, 6, tzinfo=UTC))
    market = await open_market(load_configuration(path, {}), clock, tmp_path, _compute)
    try:
        assert market.exchange_time is not None
        assert market.exchange_time.last_closed() == FRIDAY
        changed = NSE.extended([FRIDAY])
        market.reconfigure(Configuration().limits, Configuration().ticker, changed)
        assert market.exchange_time.last_closed() == date(2026, 11, 19)
    finally:
        await market.close()
