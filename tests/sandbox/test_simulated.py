"""The simulated market keeps its word: repeatable, causal, on the calendar, with true planted bases."""

import itertools
import os
import subprocess
import sys
from datetime import date, datetime, timedelta
from hashlib import sha256

import numpy as np
import pytest

from tests.sandbox.clocks import ist
from tests.sandbox.conftest import LAST_SESSION, SETTINGS
from vcpd.domain.bars import PRICE_FIELDS, BarSeries
from vcpd.domain.nse_calendar import NSE
from vcpd.sandbox.market import TICK, MarketListing
from vcpd.sandbox.settings import SandboxSettings
from vcpd.sandbox.simulated import SimulatedMarket

EVENING = ist("2026-07-15T18:00")
NEXT_MORNING = ist("2026-07-16T08:30")


def equities(market: SimulatedMarket, at: datetime) -> list[MarketListing]:
    return [row for row in market.listings(at) if row.segment == "NSE" and "-" not in row.trading_symbol]


def series_of(market: SimulatedMarket, listing: MarketListing, at: datetime) -> BarSeries:
    series = market.bars(listing.token, at)
    assert series is not None
    return series


def same(series: BarSeries, other: BarSeries) -> bool:
    return series.records.tobytes() == other.records.tobytes()


def test_the_same_seed_gives_the_same_bytes(market: SimulatedMarket) -> None:
    """Two markets of one seed and day agree in every byte; another seed disagrees."""
    again = SimulatedMarket(SETTINGS, NSE, LAST_SESSION)
    other = SimulatedMarket(SandboxSettings(symbols=60, seed=8), NSE, LAST_SESSION)
    for listing in equities(market, EVENING):
        assert same(series_of(market, listing, EVENING), series_of(again, listing, EVENING))
    listing = equities(market, EVENING)[0]
    assert not same(series_of(market, listing, EVENING), series_of(other, listing, EVENING))


DIGEST = """
from tests.sandbox.test_simulated import digest_of
print(digest_of())
"""


def digest_of() -> str:
    """One number for everything a small market serves in an evening."""
    market = SimulatedMarket(SandboxSettings(symbols=20, seed=11), NSE, LAST_SESSION)
    digest = sha256(repr(market.known_bases(EVENING)).encode())
    for listing in equities(market, EVENING):
        digest.update(series_of(market, listing, EVENING).records.tobytes())
    return digest.hexdigest()


def test_another_process_gives_the_same_bytes() -> None:
    """Nothing depends on the process: not on its hash seed, not on what it did before."""
    reported = subprocess.run(
        [sys.executable, "-c", DIGEST],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={**os.environ, "PYTHONHASHSEED": "4711", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert reported.stdout.strip() == digest_of()


def test_more_symbols_leave_the_others_as_they_were(market: SimulatedMarket) -> None:
    """A company's bars depend on the seed and its number, not on how many others there are."""
    larger = SimulatedMarket(SandboxSettings(symbols=80, seed=7, recent_listing_share=0.0), NSE, LAST_SESSION)
    for listing in equities(market, EVENING)[:50]:
        assert same(series_of(market, listing, EVENING), series_of(larger, listing, EVENING))


def test_a_later_horizon_does_not_change_the_past() -> None:
    """Generating months further gives byte for byte the history that was there before."""
    settings = SandboxSettings(symbols=40, seed=3)
    early = SimulatedMarket(settings, NSE, date(2026, 3, 2))
    late = SimulatedMarket(settings, NSE, date(2026, 3, 2))
    assert not late.ready(ist("2026-10-01T12:00"))
    late.prepare(ist("2026-10-01T12:00"))
    assert late.ready(ist("2026-10-01T12:00"))
    at = ist("2026-04-01T12:00")
    for listing in equities(early, at):
        assert same(series_of(early, listing, at), series_of(late, listing, at))
    assert early.known_bases(at) == late.known_bases(at)


def test_each_day_extends_the_history_and_only_splits_rewrite_it(market: SimulatedMarket) -> None:
    """Over twenty mornings, a name's old bars change exactly on the ex-dates that the market names."""
    splits = market.splits()
    morning = ist("2026-06-15T08:30")
    for listing in equities(market, morning):
        ex_dates = {day for day, _ in splits.get(listing.symbol, ())}
        before = series_of(market, listing, morning)
        for days in range(1, 21):
            at = morning + timedelta(days=days)
            if (after := market.bars(listing.token, at)) is None:
                break
            prefix = BarSeries(after.symbol, after.records[: len(before)])
            assert same(prefix, before) != ((morning + timedelta(days=days)).date() in ex_dates)
            before = after


def test_a_split_is_in_the_history_from_eight_on_its_ex_date() -> None:
    """At 07:59 the old prices stand, at 08:00 they are divided, and the day's move is an ordinary one."""
    market = SimulatedMarket(SandboxSettings(symbols=120, seed=2), NSE, LAST_SESSION)
    listings = {listing.symbol: listing for listing in market.listings(EVENING)}
    found = [
        (symbol, day, ratio)
        for symbol, splits in market.splits().items()
        for day, ratio in splits
        if symbol in listings and date(2025, 1, 1) < day <= LAST_SESSION
    ]
    assert len(found) > 5
    for symbol, day, ratio in found:
        before = series_of(market, listings[symbol], ist(f"{day}T07:59"))
        after = series_of(market, listings[symbol], ist(f"{day}T08:00"))
        assert np.abs(before.close / ratio - after.close).max() <= TICK / 2 + 1e-9
        assert np.array_equal(before.volume * ratio, after.volume)
        later = series_of(market, listings[symbol], ist(f"{day + timedelta(days=1)}T08:00"))
        assert np.abs(np.diff(np.log(later.close))).max() < 0.2


def test_bars_keep_the_laws_of_bars(market: SimulatedMarket) -> None:
    """Positive prices on the tick, high and low around open and close, whole volumes, calendar sessions."""
    calendar = NSE.sessions(date(2021, 1, 1), LAST_SESSION)
    for listing in equities(market, NEXT_MORNING):
        series = series_of(market, listing, NEXT_MORNING)
        assert (series.low >= TICK).all()
        assert (series.high >= np.maximum(series.open, series.close)).all()
        assert (series.low <= np.minimum(series.open, series.close)).all()
        for name in PRICE_FIELDS:
            ticks = series.records[name] / TICK
            assert np.allclose(ticks, np.round(ticks), atol=1e-6)
        assert (series.volume > 0).all()
        assert np.isin(series.sessions, calendar).all()
        assert (np.diff(series.sessions.astype(np.int64)) > 0).all()
        assert not series.provisional.any()


def test_indices_follow_the_market_factor(market: SimulatedMarket) -> None:
    """NIFTY 50 and NIFTY 500 trade on every session and move together and with the ordinary names."""
    indices = {row.trading_symbol: row for row in market.listings(EVENING) if row.is_index}
    fifty = series_of(market, indices["NIFTY 50"], NEXT_MORNING)
    wide = series_of(market, indices["NIFTY 500"], NEXT_MORNING)
    assert np.array_equal(fifty.sessions, NSE.sessions(date(2021, 1, 1), LAST_SESSION))
    assert (fifty.volume == 0).all()
    moves = np.diff(np.log(fifty.close))
    assert np.corrcoef(moves, np.diff(np.log(wide.close)))[0, 1] > 0.9
    full = [series_of(market, row, NEXT_MORNING) for row in equities(market, NEXT_MORNING)]
    correlations = [
        np.corrcoef(moves, np.diff(np.log(series.close)))[0, 1]
        for series in full
        if len(series) == len(fifty)
    ]
    assert np.max(correlations) > 0.4


def test_some_names_are_young_some_were_suspended(market: SimulatedMarket) -> None:
    """The listed count stays; a few names are newcomers, a few others have holes in their history."""
    settings = SandboxSettings(symbols=100, seed=5, suspended_share=0.1)
    market = SimulatedMarket(settings, NSE, LAST_SESSION)
    listed = equities(market, EVENING)
    assert len(listed) == 100
    assert len(equities(market, ist("2024-02-01T12:00"))) == 100
    histories = [series_of(market, row, NEXT_MORNING) for row in listed]
    young = [history for history in histories if history.sessions[0] > np.datetime64("2021-01-10")]
    assert len(young) >= 3
    assert all(len(series) <= 500 for series in young)
    calendar = NSE.sessions(date(2021, 1, 1), LAST_SESSION)
    whole = [len(calendar) - np.searchsorted(calendar, history.sessions[0]) for history in histories]
    holes = [expected - len(series) for expected, series in zip(whole, histories, strict=True)]
    assert 1 <= sum(hole >= 10 for hole in holes) <= 25


def test_a_newcomer_is_unknown_before_its_listing(market: SimulatedMarket) -> None:
    """Neither the list, nor candles, nor quotes know a name before its first day or after its last."""
    today = {row.symbol: row for row in equities(market, EVENING)}
    earlier = {row.symbol for row in equities(market, ist("2023-01-03T12:00"))}
    fresh = [row for symbol, row in today.items() if symbol not in earlier]
    assert fresh
    assert market.bars(fresh[0].token, ist("2023-01-03T12:00")) is None
    assert market.quotes([fresh[0].symbol], ist("2023-01-03T12:00")) == {}


def test_the_running_bar_grows_and_ends_as_the_days_bar(market: SimulatedMarket) -> None:
    """Through the day the range only widens and volume only rises; before the open there is no bar."""
    listing = equities(market, EVENING)[3]
    assert series_of(market, listing, ist("2026-07-15T09:14")).last_session == date(2026, 7, 14)
    bars = []
    for minute in range(1, 376, 5):
        at = ist("2026-07-15T09:15") + timedelta(minutes=minute)
        series = series_of(market, listing, at)
        assert series.last_session == date(2026, 7, 15)
        assert series.provisional[-1]
        bars.append(series.records[-1])
    grown = np.array(bars)
    assert (np.diff(grown["high"]) >= 0).all()
    assert (np.diff(grown["low"]) <= 0).all()
    assert (np.diff(grown["volume"]) >= 0).all()
    assert len(set(grown["close"])) > 10
    assert same(series_of(market, listing, EVENING), series_of(market, listing, ist("2026-07-16T05:59")))


def test_the_evening_bar_is_settled_the_next_morning(market: SimulatedMarket) -> None:
    """At 06:00 every volume is complete and some closes are the auction's; the range is the same."""
    changed = 0
    for listing in equities(market, EVENING):
        evening = series_of(market, listing, EVENING).records[-1]
        morning = series_of(market, listing, ist("2026-07-16T06:00")).records[-1]
        if evening["session"] != np.datetime64("2026-07-15"):
            continue
        assert evening["provisional"]
        assert not morning["provisional"]
        assert evening["volume"] <= morning["volume"]
        assert (evening["high"], evening["low"]) == (morning["high"], morning["low"])
        assert abs(evening["close"] - morning["close"]) <= TICK + 1e-9
        changed += evening["close"] != morning["close"]
    assert 3 <= changed <= 30


def test_quotes_agree_with_the_bars(market: SimulatedMarket) -> None:
    """At any instant a quote is the last bar, its `previous_close` the bar before; at rest, its own close."""
    symbols = [row.symbol for row in equities(market, EVENING)]
    for text in ("2026-07-15T11:11", "2026-07-15T18:00", "2026-07-18T12:00"):
        quotes = market.quotes(symbols, ist(text))
        for listing in equities(market, ist(text)):
            series = series_of(market, listing, ist(text))
            last, quote = series.records[-1], quotes[listing.symbol]
            assert (quote.open, quote.high, quote.low) == pytest.approx(
                (last["open"], last["high"], last["low"])
            )
            assert quote.last == pytest.approx(last["close"])
            assert quote.volume == last["volume"]
            before = -2 if last["provisional"] else -1
            assert quote.previous_close == pytest.approx(series.close[before])
            assert quote.traded_at.astimezone(NSE.zone).date() == series.last_session


def test_planted_truth_is_what_the_bars_show(market: SimulatedMarket) -> None:
    """Each high is the highest of its leg, each low the lowest, depths shrink, nothing breaks out early."""
    planted = market.known_bases(NEXT_MORNING)
    listings = {listing.symbol: listing for listing in market.listings(NEXT_MORNING)}
    assert len(planted) > 50
    for base in planted:
        series = series_of(market, listings[base.symbol], NEXT_MORNING)
        until = series.sessions < np.datetime64(base.resolved_on or date.max, "D")
        inside = until & (series.sessions >= np.datetime64(base.anchor_date, "D"))
        bars = series.records[inside]
        assert bars["high"].max() == base.contractions[0].high
        assert base.pivot == base.contractions[-1].high
        lows = [leg.low_date for leg in base.contractions]
        for number, leg in enumerate(base.contractions):
            stop = base.contractions[number + 1].high_date if leg.low_date != lows[-1] else date.max
            after = bars[
                (bars["session"] >= np.datetime64(leg.high_date)) & (bars["session"] < np.datetime64(stop))
            ]
            assert after["high"].max() == leg.high == after["high"][0]
            assert after["low"].min() == leg.low
            assert after["session"][after["low"].argmin()] == np.datetime64(leg.low_date)
        depths = [leg.depth_pct for leg in base.contractions]
        assert all(later <= 0.8 * earlier for earlier, later in itertools.pairwise(depths))
        assert depths[-1] <= 0.5 * depths[0] + 0.1


def test_planted_bases_end_as_stated(market: SimulatedMarket) -> None:
    """A breakout's close is the first above the pivot, on volume; a failure closes below the last low."""
    listings = {listing.symbol: listing for listing in market.listings(NEXT_MORNING)}
    resolved = [base for base in market.known_bases(NEXT_MORNING) if base.resolved_on is not None]
    assert {base.resolution for base in resolved} == {"breakout", "failed"}
    for base in resolved:
        series = series_of(market, listings[base.symbol], NEXT_MORNING)
        at = int(np.searchsorted(series.sessions, np.datetime64(base.resolved_on, "D")))
        formed = int(np.searchsorted(series.sessions, np.datetime64(base.formed_on, "D")))
        if base.resolution == "failed":
            assert series.close[at] < base.contractions[-1].low
            continue
        assert series.close[at] > base.pivot
        assert (series.close[formed:at] < base.pivot).all()
        assert series.volume[at] > 1.4 * series.volume[at - 50 : at].mean()


def test_every_planted_base_deserves_to_be_found(market: SimulatedMarket) -> None:
    """Six sessions after its last low a base stands in a long uptrend: averages stacked and rising."""
    listings = {listing.symbol: listing for listing in market.listings(NEXT_MORNING)}
    judged = 0
    for base in market.known_bases(NEXT_MORNING):
        series = series_of(market, listings[base.symbol], NEXT_MORNING)
        at = int(np.searchsorted(series.sessions, np.datetime64(base.formed_on, "D"))) + 6
        if at < 260 or at >= len(series):
            continue
        close = series.close[: at + 1]
        sma50, sma150, sma200 = (close[-length:].mean() for length in (50, 150, 200))
        assert close[-1] > sma50 > sma150 > sma200 > close[-222:-22].mean()
        assert close[-1] >= 1.3 * series.low[at - 251 : at + 1].min()
        assert close[-1] >= 0.75 * series.high[at - 251 : at + 1].max()
        anchor = int(np.searchsorted(series.sessions, np.datetime64(base.anchor_date, "D")))
        assert series.high[anchor] >= 1.3 * series.low[anchor - 126 : anchor].min()
        judged += 1
    assert judged > 40


def test_a_fresh_market_has_bases_that_wait_under_their_pivot() -> None:
    """With the shipped settings most days show several open planted bases."""
    market = SimulatedMarket(SandboxSettings(), NSE, date(2026, 11, 20))
    waiting = [
        sum(base.resolved_on is None for base in market.known_bases(ist(f"2026-{month:02}-21T12:00")))
        for month in range(6, 12)
    ]
    assert min(waiting) >= 1
    assert sum(waiting) >= 2 * len(waiting)
