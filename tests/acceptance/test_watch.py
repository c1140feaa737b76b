"""A real daemon watches a simulated session: a planted breakout, a price level, a feed that is cut off."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.daemon import Daemon, outcomes, running, write_configuration
from tests.acceptance.quick_market import QUICK_MARKET
from tests.acceptance.test_alerts import Receiver, receiving
from tests.cli.scripted_daemon import call
from vcpd.cli.command import EXIT_OK

pytestmark = pytest.mark.timeout(600)
NIGHT_S = 200.0  # for a busy machine
SESSION_S = 60.0
FRIDAY_EVENING = "2026-11-13T18:35:00+05:30"
MONDAY = "2026-11-16"
MONDAY_OPENING = "2026-11-16T09:13:00+05:30"
MONDAY_EVENING = "2026-11-16T18:35:00+05:30"
SYMBOL, PIVOT = "NSE:INDVALFIN", 796.65  # breaks out at 09:23:35 on Monday, and closes above its pivot
SETTINGS = """
[workers]
count = 1
[alerts.webhook]
url = "{url}/hook"
[watch]
quote_fallback_after_s = 1
quote_interval_s = 1
candidate_refresh_s = 1
[ticker]
stale_after_s = 2
backoff_s = 0.5
backoff_max_s = 1
"""
CUT_OFF = """
[sandbox.faults]
ticker = ["close"]
ticker_times = 8
"""
SECRETS = {"VCPD_ALERTS_WEBHOOK_SECRET": "of-the-hook"}
EVENING = {"collect": "done", "screen": "done"}


@contextmanager
def sources_seen(seen: list[str]) -> Iterator[Any]:
    """Notes each change of where prices come from."""

    def look(status: Any) -> bool:
        source = status["watch"]["source"]
        if status["watch"]["candidates"] and source != "none" and seen[-1:] != [source]:
            seen.append(source)
        return False

    yield look


async def _event(daemon: Daemon) -> Any:
    """Monday's last event of the base."""
    _, answer = await daemon.get(f"/api/setups/{SYMBOL}")
    return next(entry for entry in reversed(answer["bases"][-1]["events"]) if entry["session"] == MONDAY)


async def test_a_breakout_is_seen_reported_and_judged_by_the_evening(tmp_path: Path, port: int) -> None:
    """The feed is cut off again and again at first: quotes stand in, then it is back."""
    async with receiving() as receiver:
        settings = QUICK_MARKET + SETTINGS.format(url=receiver.url)
        path = write_configuration(tmp_path, port, settings)
        async with running(path, port, "--now", FRIDAY_EVENING, environment=SECRETS) as daemon:
            await daemon.until(lambda status: EVENING.items() <= outcomes(status).items(), NIGHT_S)
            words = ("watchlist", "level", SYMBOL, "--above", PIVOT, "--note", "over the pivot")
            assert await call(*words, "--config", path) == EXIT_OK
            assert await daemon.stop() == 0
        write_configuration(tmp_path, port, settings + CUT_OFF)
        await _monday(path, port, receiver)
    async with running(path, port, "--now", MONDAY_EVENING, environment=SECRETS) as daemon:
        await daemon.until(_monday_is_judged, NIGHT_S)
        event = await _event(daemon)
        assert (event["kind"], event["live"]) == ("breakout", False)


def _monday_is_judged(status: Any) -> bool:
    screened = next(job["last"] for job in status["jobs"] if job["name"] == "screen")
    done: bool = (screened or {}).get("session") == MONDAY and screened["outcome"] == "done"
    return done


async def _monday(path: Path, port: int, receiver: Receiver) -> None:
    seen: list[str] = []
    clock = ("--now", MONDAY_OPENING, "--speed", "40")
    async with running(path, port, *clock, environment=SECRETS) as daemon:
        with sources_seen(seen) as look:
            status = await daemon.until(
                lambda status: (
                    look(status)
                    or (
                        _is_reported(receiver)
                        and bool(_levels(receiver))
                        and seen[-2:] == ["quotes", "ticker"]
                    )
                ),
                SESSION_S,
            )
        assert status["watch"]["feed"]["reconnects"] >= 2
        await _require_the_event(daemon)
        _require_the_alert(receiver)
        (level,) = _levels(receiver)
        assert (level["symbol"], level["provisional"]) == (SYMBOL, True)
        assert level["facts"]["note"] == "over the pivot"
        assert level["facts"]["price"] >= PIVOT
        job = next(job for job in status["jobs"] if job["name"] == "watch")
        assert job["running"]["note"].endswith("events")
        assert await daemon.stop() == 0


def _is_reported(receiver: Receiver) -> bool:
    return any(_breakout(message) for message in receiver.messages.values())


def _levels(receiver: Receiver) -> list[Any]:
    """The alerts of price levels that arrived."""
    alerts = [alert for message in receiver.messages.values() for alert in message["alerts"]]
    return [alert for alert in alerts if alert["kind"] == "price_level"]


def _breakout(message: Any) -> bool:
    (alert, *_) = message["alerts"]
    return bool(alert["kind"].startswith("breakout") and alert["symbol"] == SYMBOL)


async def _require_the_event(daemon: Daemon) -> None:
    """Under the base's own identity, marked as what it is."""
    event = await _event(daemon)
    assert event["kind"] in {"breakout", "breakout_unconfirmed"}
    assert (event["provisional"], event["live"]) == (True, True)
    assert event["price"] > PIVOT
    _, watch = await daemon.get("/api/watch")
    line = next(item for item in watch["items"] if item["symbol"] == SYMBOL)
    assert line["pivot"] == PIVOT
    assert line["news"] is not None


def _require_the_alert(receiver: Receiver) -> None:
    messages = [message for message in receiver.messages.values() if _breakout(message)]
    assert len({message["alerts"][0]["kind"] for message in messages}) == len(messages)  # each kind once
    (alert, *_) = messages[0]["alerts"]
    assert alert["provisional"] is True
    assert alert["facts"]["pivot"] == PIVOT
    assert "provisional" in messages[0]["title"] + messages[0]["body"]
