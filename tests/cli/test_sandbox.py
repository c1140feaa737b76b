"""`vcpd sandbox` opens a market at the moment that its options name."""

import argparse
import json
import signal
import subprocess
import sys
import urllib.request
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from vcpd.cli.main import build_parser
from vcpd.cli.sandbox import clock_start, open_market, settings_from_arguments
from vcpd.core.errors import BadInputError
from vcpd.domain.nse_calendar import NSE
from vcpd.runtime.clock import VirtualClock, WallClock
from vcpd.sandbox.settings import SandboxSettings

SMALL = SandboxSettings(symbols=40, seed=7, years=1, leader_share=0.5)
IST = ZoneInfo("Asia/Kolkata")


def asked(**options: Any) -> argparse.Namespace:
    """The verb's arguments with these options."""
    defaults = {"now": None, "speed": 1.0, "since": None, "session": None, "start": None}
    return argparse.Namespace(**{**defaults, **options})


def begun(**options: Any) -> datetime:
    """When the clock of such a market begins."""
    clock = open_market(SMALL, asked(**options))[1]
    assert isinstance(clock, VirtualClock)
    return clock.start


def test_without_options_the_market_lives_in_the_present() -> None:
    """Neither speed nor session: the host's time."""
    assert isinstance(open_market(SMALL, asked())[1], WallClock)


def test_at_speed_it_begins_before_the_open_of_the_last_session() -> None:
    """Ten minutes before, on the fast clock, with that session ready to be told."""
    last = NSE.last_session_at(datetime.now(UTC))
    market, clock = open_market(SMALL, asked(speed=60.0))
    assert isinstance(clock, VirtualClock)
    assert clock.speed == 60.0
    assert clock.start == NSE.open_close(last)[0] - timedelta(minutes=10)
    assert market.ready(NSE.open_close(last)[0] + timedelta(hours=1))


def test_session_and_start_choose_the_moment() -> None:
    """A date and a wall time of the exchange; a Muhurat evening has its own hours."""
    assert begun(session="2026-07-15", start="13:45") == datetime(2026, 7, 15, 13, 45, tzinfo=IST)
    muhurat = date(2025, 10, 21)
    assert clock_start(muhurat, "pre_open") == NSE.open_close(muhurat)[0] - timedelta(minutes=10)


def test_a_breakout_can_be_asked_for() -> None:
    """The session that is chosen is the latest with a breakout in it."""
    market, clock = open_market(SMALL, asked(speed=60.0, session="breakout"))
    session = NSE.local_date(clock.now())
    assert market.breakouts(session, session)
    assert not market.breakouts(session + timedelta(days=1), NSE.last_session_at(datetime.now(UTC)))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"session": "2026-11-21"}, "not a session: Saturday"),
        ({"session": "soon"}, "last, breakout or a date"),
        ({"start": "25:00"}, "pre_open or HH:MM"),
        ({"now": datetime(2026, 7, 15, tzinfo=UTC), "start": "10:00"}, "not both"),
    ],
)
def test_impossible_moments_are_said_plainly(options: dict[str, Any], words: str) -> None:
    """Each mistake is named with what was expected."""
    with pytest.raises(BadInputError, match=words):
        open_market(SMALL, asked(**options))


def test_the_verb_runs_a_session_at_speed() -> None:
    """The real program announces its addresses, tells the day's breakout and ends on a signal."""
    options = ["--port", "0", "--symbols", "40", "--seed", "7", "--speed", "600", "--session", "breakout"]
    command = [sys.executable, "-m", "vcpd", "sandbox", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        announced = json.loads(process.stdout.readline())
        assert announced["ticker"] == announced["url"].replace("http", "ws")
        with urllib.request.urlopen(f"{announced['url']}/sandbox/breakouts", timeout=10) as answer:
            assert json.load(answer)["data"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def _settings_of(*words: str) -> SandboxSettings:
    return settings_from_arguments(build_parser(["sandbox"]).parse_args(["sandbox", *words]))


def test_the_configuration_gives_what_no_option_names(tmp_path: Path) -> None:
    """Also the faults, and paths relative to the file."""
    path = tmp_path / "config.toml"
    path.write_text(
        '[sandbox]\nsymbols = 40\nseed = 7\nbars = "bars.csv"\nautomatic_login = false\n'
        'redirect_url = "http://127.0.0.1:9999/kite/callback"\n[sandbox.faults]\nrate = 0.5\n',
        encoding="utf-8",
    )
    found = _settings_of("--config", str(path), "--seed", "9")
    assert (found.symbols, found.seed, found.port) == (40, 9, 8788)
    assert (found.automatic_login, found.redirect_url) == (False, "http://127.0.0.1:9999/kite/callback")
    assert (found.faults.rate, found.bars) == (0.5, str(tmp_path / "bars.csv"))


def test_options_win_over_the_configuration(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("[sandbox]\nport = 9001\nautomatic_login = false\n", encoding="utf-8")
    url = "http://127.0.0.1:9002/kite/callback"
    found = _settings_of("--config", str(path), "--automatic-login", "--redirect-url", url)
    assert (found.port, found.automatic_login, found.redirect_url) == (9001, True, url)
