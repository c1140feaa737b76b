"""The simulated exchange as the daemon's child: what it says never holds it up."""

import asyncio
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from vcpd.app import sandbox_process
from vcpd.app.market import open_market
from vcpd.app.sandbox_process import (
    QUICK_ANSWERS,
    QUICK_REQUESTS,
    SandboxProcess,
    answered_rates,
    requested_rates,
)
from vcpd.config import Configuration, load_configuration
from vcpd.core.errors import UnavailableError
from vcpd.kite.settings import LimitSettings
from vcpd.ports import Clock
from vcpd.runtime.clock import VirtualClock
from vcpd.sandbox.settings import RateSettings, SandboxSettings

TALKATIVE = """
import sys
sys.stdin.readline()
print('{"url": "http://127.0.0.1:1"}', flush=True)
for stream in (sys.stdout, sys.stderr):
    stream.write("trouble\\n" * 20_000)
    stream.flush()
"""


async def test_a_talkative_child_is_listened_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than any pipe holds: it comes to its end, so do those who listen, and the log stays small."""
    monkeypatch.setattr(sandbox_process, "_command", lambda _clock: [sys.executable, "-c", TALKATIVE])
    clock = VirtualClock(datetime(2026, 11, 20, 4, tzinfo=UTC))
    child = await SandboxProcess.start(SandboxSettings(), clock, os.environ)
    try:
        with capture_logs() as records:
            async with asyncio.timeout(60):
                assert await child.wait() == 0
    finally:
        await child.close()
    received = [record for record in records if record["event"] == "sandbox.output"]
    assert received
    assert all("trouble" in record["text"] for record in received)
    assert max(len(record["text"]) for record in received) <= sandbox_process.MAX_LOGGED_CHARACTERS
    assert len(received) < 2 * 20_000 / 10
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "sandbox-listen"]


async def test_a_folder_named_like_the_package_is_not_taken_for_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`vcpd run` in the folder above a checkout, whose usual name is that of the package."""
    (tmp_path / "vcpd").mkdir()
    monkeypatch.chdir(tmp_path)
    clock = VirtualClock(datetime(2026, 11, 20, 4, tzinfo=UTC))
    child = await SandboxProcess.start(SandboxSettings(symbols=5, years=1), clock, os.environ)
    try:
        assert child.url.startswith("http://127.0.0.1:")
    finally:
        await child.close()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ('bars = "bars.csv"\nindex = "more/index.csv"', ("bars.csv", "more/index.csv")),
        ('bars = "../bars.csv"', ("../bars.csv", None)),
        ('bars = "/elsewhere/bars.csv"', ("/elsewhere/bars.csv", None)),
        ("", (None, None)),
    ],
)
async def test_bars_lie_relative_to_the_configuration_file(
    written: str, meant: tuple[str | None, str | None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the working directory is; checked on what the child process would get."""
    folder, elsewhere = tmp_path / "configuration", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    (folder / "config.toml").write_text(f'[daemon]\nmarket = "sandbox"\n[sandbox]\n{written}\n')
    received: list[SandboxSettings] = []

    async def start(settings: SandboxSettings, _clock: Clock, _environment: Mapping[str, str]) -> None:
        received.append(settings)
        raise UnavailableError("no child process in this test")

    async def compute(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(SandboxProcess, "start", start)
    clock = VirtualClock(datetime(2026, 11, 20, 4, tzinfo=UTC))
    with pytest.raises(UnavailableError):
        await open_market(load_configuration(folder / "config.toml", {}), clock, tmp_path, compute)
    expected = [None if path is None else str((folder / path).resolve()) for path in meant]
    assert [received[0].bars, received[0].index] == expected


SLOWER = LimitSettings(historical_per_s=2)
TWENTY = RateSettings(historical_per_s=20)


@pytest.mark.parametrize(
    ("configuration", "answered", "requested"),
    [
        (Configuration(), QUICK_ANSWERS, QUICK_REQUESTS),
        (Configuration(sandbox=SandboxSettings(real_limits=True)), RateSettings(), LimitSettings()),
        (Configuration(limits=SLOWER), RateSettings(), SLOWER),
        (Configuration(sandbox=SandboxSettings(limits=TWENTY)), TWENTY, LimitSettings()),
    ],
)
def test_the_daemon_does_not_wait_for_its_own_exchange_unless_a_limit_is_set(
    configuration: Configuration, answered: RateSettings, requested: LimitSettings
) -> None:
    assert answered_rates(configuration) == answered
    assert requested_rates(configuration.limits, answered) == requested


def test_a_reload_that_sets_or_removes_limits_never_asks_faster_than_the_exchange_answers() -> None:
    assert requested_rates(SLOWER, QUICK_ANSWERS) == SLOWER
    assert requested_rates(LimitSettings(), RateSettings()) == LimitSettings()


def test_the_quick_rates_stay_below_what_the_exchange_answers() -> None:
    for name in LimitSettings.__struct_fields__:
        if name.endswith("_per_s"):
            assert getattr(QUICK_REQUESTS, name) < getattr(QUICK_ANSWERS, name)
