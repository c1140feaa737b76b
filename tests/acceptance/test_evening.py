"""An evening and the next morning on a virtual clock: provisional bars, final ones, splits."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.daemon import Daemon, running, write_configuration
from tests.acceptance.quick_market import ONE_WORKER, quick_market

SPLIT_SYMBOL = "NSE:GAURIKENGG"  # the simulated market splits it 2 for 1 on 2026-04-09
EVE, EX_DATE = "2026-04-08", "2026-04-09"
DAY_BEFORE_AT = "2026-04-07T20:00:00+05:30"
CLOSE_AT = "2026-04-08T15:29:00+05:30"
MORNING_AT = "2026-04-09T08:19:00+05:30"
SETTLED_COLLECT = "2026-04-08T10:35:00Z"
pytestmark = pytest.mark.timeout(600)  # three daemons, one after the other
DEADLINE_S = 200.0  # for a busy machine
SETTINGS = {
    **ONE_WORKER,
    "sandbox.limits": {"quote_per_s": 100, "other_per_s": 100},
    "limits": {"quote_per_s": 20, "historical_per_s": 100, "other_per_s": 20, "all_gets_per_s": 200},
}


async def test_an_evening_is_swept_and_the_next_morning_makes_it_final_and_notices_splits(
    tmp_path: Path, port: int
) -> None:
    async with _daemon(tmp_path, port, DAY_BEFORE_AT, 1) as daemon:
        await daemon.until(lambda status: _is_done(status, "screen", "2026-04-07"), DEADLINE_S)
        symbols = await _symbols(daemon)
        assert await daemon.stop() == 0

    async with _daemon(tmp_path, port, CLOSE_AT, 120) as daemon:
        status = await daemon.until(_evening_is_over, DEADLINE_S)
        assert _last(status, "collect")["counts"]["swept"] == len(symbols)
        assert "fetched" not in _last(status, "collect")["counts"]
        evening = await _bars(daemon, symbols)
        assert all(_bar(entry, EVE)["provisional"] for entry in evening.values())
        assert not any(_bar(entry, "2026-04-07")["provisional"] for entry in evening.values())
        assert await _price_bands(daemon) == {None, 20.0}  # with futures, and without
        other, bases = await _symbol_with_bases(daemon)
        assert await daemon.stop() == 0

    async with _daemon(tmp_path, port, MORNING_AT, 60, {other: 4.0}) as daemon:
        status = await daemon.until(lambda entry: _is_done(entry, "reconcile", EX_DATE), DEADLINE_S)
        reconciled = _last(status, "reconcile")
        assert reconciled["counts"]["restated"] == 2
        assert f"{SPLIT_SYMBOL}: history restated" in reconciled["reason"]
        assert f"{other}: history restated" in reconciled["reason"]
        morning = await _bars(daemon, symbols)
        assert not any(any(entry["provisional"]) for entry in morning.values())
        for symbol in symbols:
            ratio = {SPLIT_SYMBOL: 2.0, other: 4.0}.get(symbol, 1.0)
            _require_divided(evening[symbol], morning[symbol], ratio)
        await _screen_again(daemon, EVE)
        _require_the_same_bases(bases, await _bases(daemon, other), 4.0)


def _daemon(
    folder: Path, port: int, now: str, speed: float, restated: Mapping[str, float] | None = None
) -> AbstractAsyncContextManager[Daemon]:
    path = write_configuration(
        folder, port, quick_market({**SETTINGS, "sandbox.faults": {"split_ratios": restated or {}}})
    )
    return running(path, port, "--now", now, "--speed", str(speed))


def _last(status: Any, job: str) -> Any:
    return next(entry["last"] for entry in status["jobs"] if entry["name"] == job) or {}


def _is_done(status: Any, job: str, session: str) -> bool:
    last = _last(status, job)
    return bool(last) and last["outcome"] == "done" and last["session"] == session


def _evening_is_over(status: Any) -> bool:
    """Whether the settled prices are in, and judged."""
    settled = _is_done(status, "collect", EVE) and _last(status, "collect")["scheduled_at"] == SETTLED_COLLECT
    return settled and _is_done(status, "screen", EVE) and _is_done(status, "risk", EVE)


async def _symbols(daemon: Daemon) -> list[str]:
    found = (await daemon.get("/api/setups?all=1"))[1]["items"]
    return ["NSE:NIFTY 50", "NSE:NIFTY 500", *sorted(item["symbol"] for item in found)]


async def _price_bands(daemon: Daemon) -> set[float | None]:
    """The bands that the evening's quotes stated of the judged shares."""
    found = (await daemon.get("/api/setups?all=1"))[1]["items"]
    return {(setup["facts"] or {}).get("price_band_pct") for setup in found}


async def _bars(daemon: Daemon, symbols: list[str]) -> dict[str, Any]:
    return {symbol: (await daemon.get(f"/api/bars/{symbol}"))[1] for symbol in symbols}


def _bar(bars: Mapping[str, Any], session: str) -> dict[str, Any]:
    """One session's bar out of the columns."""
    place = bars["session"].index(session)
    return {name: bars[name][place] for name in ("open", "high", "low", "close", "volume", "provisional")}


def _require_divided(before: Mapping[str, Any], after: Mapping[str, Any], ratio: float) -> None:
    """Every settled close is what it was, divided by the ratio, to the tick; no session came or went."""
    assert after["session"] == before["session"]
    for old, new, provisional in zip(before["close"], after["close"], before["provisional"], strict=True):
        near = 0.02 * new if provisional else 0.051 * (ratio > 1)
        assert abs(old / ratio - new) <= near + 1e-9, (before["symbol"], old, new)


async def _bases(daemon: Daemon, symbol: str) -> list[Any]:
    bases: list[Any] = (await daemon.get(f"/api/setups/{symbol}"))[1]["bases"]
    return bases


async def _symbol_with_bases(daemon: Daemon) -> tuple[str, list[Any]]:
    """A symbol that is not the split one and is followed, with its bases."""
    for item in (await daemon.get("/api/setups?all=1&sort=symbol"))[1]["items"]:
        bases = await _bases(daemon, item["symbol"])
        if bases and item["contractions"] and item["symbol"] != SPLIT_SYMBOL:
            return item["symbol"], bases
    raise AssertionError("no symbol of this market has a base")


async def _screen_again(daemon: Daemon, session: str) -> None:
    run_id = await daemon.start_job("screen", session)
    await daemon.until(
        lambda status: (
            _last(status, "screen").get("id") == run_id and _last(status, "screen")["outcome"] == "done"
        ),
        DEADLINE_S,
    )


def _require_the_same_bases(before: list[Any], after: list[Any], ratio: float) -> None:
    """The same bases by their anchors, with levels in the new prices; none is found a second time."""
    now = {base["anchor_date"]: base for base in after}
    assert len(now) == len(after)
    assert {base["anchor_date"] for base in before} <= now.keys()
    for base in before:
        assert abs(base["pivot"] / ratio - now[base["anchor_date"]]["pivot"]) <= 0.1
