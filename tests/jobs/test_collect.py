"""Collecting: what is asked, what is stored, and what a death in the middle leaves behind."""

from datetime import UTC, date, datetime

import numpy as np
import pytest

from tests.fakes.collection import KilledError, context
from tests.jobs.sample_market import (
    EVENING,
    MORNING,
    NEXT_EVENING,
    NEXT_SESSION,
    SESSION,
    SETTLED,
    SampleMarket,
    build_sample_market,
    history,
    series_of,
)
from vcpd.core.errors import NeedsLoginError, PermanentError, RetryableError, VcpdError
from vcpd.domain.bars import BarSeries
from vcpd.domain.nse_calendar import NSE
from vcpd.domain.quality_rules import QualityFlag, QualityRule
from vcpd.domain.runs import Outcome

SYMBOLS = ("NSE:A", "NSE:B", "NSE:C", "NSE:D", "NSE:E")


NEXT_SETTLED = NEXT_EVENING.replace(minute=35)


def small_town() -> SampleMarket:
    return build_sample_market([history(symbol) for symbol in SYMBOLS])


async def test_an_empty_store_is_filled_with_one_request_a_symbol() -> None:
    town = small_town()
    result = await town.collect()(context(SESSION))
    assert result.outcome is Outcome.DONE
    assert result.counts["fetched"] == len(SYMBOLS) + 1
    assert len(town.market.candle_requests) == len(SYMBOLS) + 1
    assert all(series.last_session == SESSION for series in map(town.bars.history, town.bars.symbols))


async def test_the_evening_candle_is_provisional_and_older_ones_are_final() -> None:
    town = small_town()
    await town.collect()(context(SESSION))
    provisional = town.bars.history(2).provisional
    assert provisional[-1]
    assert not provisional[:-1].any()


async def test_a_complete_store_is_not_asked_for_again() -> None:
    """Run twice in the settled evening: the second run makes no request at all."""
    town = small_town()
    collect = town.collect()
    await collect(context(SESSION))
    town.clock.at = SETTLED
    await collect(context(SESSION))
    asked = (len(town.market.candle_requests), len(town.market.quote_requests))
    rows = town.rows()
    again = await collect(context(SESSION))
    assert (len(town.market.candle_requests), len(town.market.quote_requests)) == asked
    assert town.rows() == rows
    assert "inserted" not in again.counts


async def test_the_session_just_closed_comes_by_one_sweep() -> None:
    """Where only the last session is missing, one quote request serves everybody, and no candle is asked."""
    town = await settled_town()
    town.clock.at, town.market.quoted_session = NEXT_EVENING, NEXT_SESSION
    result = await town.collect()(context(NEXT_SESSION))
    assert len(town.market.quote_requests) == 1
    assert not town.market.candle_requests
    assert result.counts["swept"] == len(SYMBOLS) + 1
    last = town.bars.history(2).records[-1]
    assert last["session"].item() == NEXT_SESSION
    assert last["provisional"]


async def test_a_suspended_symbol_gets_no_bar_from_an_old_quote() -> None:
    town = await settled_town()
    town.clock.at, town.market.quoted_session = NEXT_SETTLED, NEXT_SESSION
    town.market.quotes_at["NSE:B"] = "2025-06-30 15:29:59"
    result = await town.collect()(context(NEXT_SESSION))
    assert result.counts["without_bar"] == 1
    assert town.bars.history(3).last_session == SESSION
    assert town.bars.requested[3].last == NEXT_SESSION


async def test_who_trades_only_in_the_closing_auction_is_asked_again_once_it_is_over() -> None:
    """At 15:35 the last trade is yesterday's: that proves no suspension before the prices have settled."""
    town = await settled_town()
    town.clock.at, town.market.quoted_session = NEXT_EVENING, NEXT_SESSION
    town.market.quotes_at["NSE:B"] = "2025-06-30 15:29:59"
    collect = town.collect()
    await collect(context(NEXT_SESSION))
    again = await collect(context(NEXT_SESSION))  # by hand, before anything has settled
    assert again.outcome is Outcome.DONE
    town.clock.at = NEXT_SETTLED
    town.market.quotes_at.clear()
    await collect(context(NEXT_SESSION))
    assert town.bars.history(3).last_session == NEXT_SESSION


async def test_a_quote_that_was_kept_apart_is_asked_for_again() -> None:
    """A broken quote costs its symbol half an hour, not the evening."""
    town = await settled_town()
    town.clock.at, town.market.quoted_session = NEXT_EVENING, NEXT_SESSION
    records = town.market.histories["NSE:B"].records
    (at,) = np.flatnonzero(records["session"] == np.datetime64(NEXT_SESSION))
    sound = records["open"][at]
    records["open"][at] = 0.0
    collect = town.collect()
    result = await collect(context(NEXT_SESSION))
    assert result.counts["quarantined"] == 1
    records["open"][at] = sound
    town.clock.at = NEXT_SETTLED
    await collect(context(NEXT_SESSION))
    assert town.bars.history(3).last_session == NEXT_SESSION


async def test_a_symbol_that_the_quotes_leave_out_gets_its_candle_at_once() -> None:
    """An answer that lost a symbol on its way says nothing of it: it is asked for by itself."""
    town = await settled_town()
    town.clock.at, town.market.quoted_session = NEXT_EVENING, NEXT_SESSION
    town.market.unquoted = {"NSE:B"}
    result = await town.collect()(context(NEXT_SESSION))
    assert [symbol for symbol, _, _ in town.market.candle_requests] == ["NSE:B"]
    assert town.bars.history(3).last_session == NEXT_SESSION
    assert result.counts["without_bar"] == 1


async def test_a_symbol_that_nobody_has_an_answer_for_stays_unasked() -> None:
    town = await settled_town()
    town.clock.at, town.market.quoted_session = NEXT_EVENING, NEXT_SESSION
    town.market.unquoted = {"NSE:B"}
    town.market.troubles["NSE:B"] = RetryableError("no answer")
    result = await town.collect()(context(NEXT_SESSION))
    assert result.counts["failed"] == 1
    assert result.outcome is Outcome.DONE  # the others' evening goes on
    assert "NSE:B: no answer" in result.reason
    assert town.bars.requested[3].last == SESSION


@pytest.mark.parametrize(
    "trouble", [RetryableError("503"), PermanentError("the plan lacks data")], ids=["away", "denied"]
)
async def test_an_evening_without_any_quote_is_served_by_candles(trouble: VcpdError) -> None:
    """Slower, but whole; five past four takes the settled price in the same way."""
    town = await settled_town()
    town.clock.at, town.market.quoted_session = NEXT_EVENING, NEXT_SESSION
    town.market.troubles["quotes"] = trouble
    collect = town.collect()
    result = await collect(context(NEXT_SESSION))
    assert result.outcome is Outcome.DONE
    assert f"{trouble}; 6 symbols by candles instead" in result.reason
    assert all(town.bars.history(key).last_session == NEXT_SESSION for key in town.bars.symbols)
    records = town.market.histories["NSE:B"].records
    at = records["session"] == np.datetime64(NEXT_SESSION)
    records["close"][at] *= 1.001
    town.clock.at = NEXT_SETTLED
    await collect(context(NEXT_SESSION))
    assert town.bars.history(3).close[-1] == records["close"][at][0]


async def test_quotes_that_come_in_part_leave_only_the_rest_to_candles(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("vcpd.jobs.quote_snapshot.MAX_QUOTES_PER_REQUEST", 2)
    town = await settled_town()
    town.clock.at, town.market.quoted_session = NEXT_EVENING, NEXT_SESSION
    town.market.unanswered = {"NSE:B"}
    result = await town.collect()(context(NEXT_SESSION))
    assert result.outcome is Outcome.DONE
    assert result.counts["swept"] == 4
    assert sorted(symbol for symbol, _, _ in town.market.candle_requests) == ["NSE:B", "NSE:C"]


async def test_who_failed_in_passing_is_asked_for_once_more_in_the_same_run() -> None:
    town = small_town()
    town.market.falters = {"NSE:C": 1, "NSE:D": 2}
    result = await town.collect()(context(SESSION))
    assert result.counts["failed"] == 1
    assert "NSE:C" not in result.reason
    assert "NSE:D: 502" in result.reason
    asked = [symbol for symbol, _, _ in town.market.candle_requests]
    assert (asked.count("NSE:C"), asked.count("NSE:D"), asked.count("NSE:E")) == (2, 2, 1)
    assert town.bars.history(4).last_session == SESSION


async def test_who_fails_for_good_is_not_asked_for_again() -> None:
    town = small_town()
    town.market.troubles["NSE:C"] = PermanentError("unknown token")
    await town.collect()(context(SESSION))
    assert [symbol for symbol, _, _ in town.market.candle_requests].count("NSE:C") == 1


async def test_an_unsettled_price_that_the_quotes_leave_out_is_settled_by_its_candle() -> None:
    """Five past four: the close after the auction reaches the one symbol that the answer lost too."""
    town = await settled_town()
    town.clock.at, town.market.quoted_session = NEXT_EVENING, NEXT_SESSION
    collect = town.collect()
    await collect(context(NEXT_SESSION))
    records = town.market.histories["NSE:B"].records
    records["close"][records["session"] == np.datetime64(NEXT_SESSION)] *= 1.001
    town.clock.at, town.market.unquoted = NEXT_EVENING.replace(minute=35), {"NSE:B"}
    await collect(context(NEXT_SESSION))
    expected = records["close"][records["session"] == np.datetime64(NEXT_SESSION)][0]
    assert town.bars.history(3).close[-1] == expected
    assert town.bars.history(3).provisional[-1]
    assert town.market.candle_requests == [("NSE:B", NEXT_SESSION, NEXT_SESSION)]


async def test_after_the_next_opening_candles_serve_instead_of_quotes() -> None:
    """A quote taken in the next session does not tell the last one's bar."""
    town = await settled_town()
    town.clock.at = datetime(2025, 7, 2, 5, 0, tzinfo=UTC)
    town.market.quoted_session = date(2025, 7, 2)
    await town.collect()(context(NEXT_SESSION))
    assert not town.market.quote_requests
    assert len(town.market.candle_requests) == len(SYMBOLS) + 1
    assert town.bars.history(2).last_session == NEXT_SESSION


async def test_quotes_of_another_day_fail_the_run_and_mark_nothing_as_asked() -> None:
    """An unexpected holiday is told, and the session is asked for again later."""
    town = await settled_town()
    town.clock.at, town.market.quoted_session = NEXT_EVENING, SESSION
    result = await town.collect()(context(NEXT_SESSION))
    assert result.outcome is Outcome.FAILED
    assert "2025-07-01" in result.reason
    assert all(span.last == SESSION for span in town.bars.requested.values())


async def test_the_second_evening_run_takes_the_settled_price() -> None:
    town = await settled_town()
    town.clock.at, town.market.quoted_session = NEXT_EVENING, NEXT_SESSION
    collect = town.collect()
    await collect(context(NEXT_SESSION))
    records = town.market.histories["NSE:A"].records
    records["close"][records["session"] == np.datetime64(NEXT_SESSION)] *= 1.001
    town.clock.at = NEXT_EVENING.replace(minute=35)
    await collect(context(NEXT_SESSION))
    expected = records["close"][records["session"] == np.datetime64(NEXT_SESSION)][0]
    assert town.bars.history(2).close[-1] == expected


async def test_a_running_session_is_not_collected() -> None:
    """Before the close the last closed session is the target."""
    town = small_town()
    town.clock.at = datetime(2025, 6, 30, 6, 0, tzinfo=UTC)
    await town.collect()(context(SESSION))
    assert town.bars.history(2).last_session == date(2025, 6, 27)


async def test_one_symbols_failure_is_counted_and_stops_nobody() -> None:
    town = small_town()
    town.market.troubles["NSE:C"] = PermanentError("unknown token")
    result = await town.collect()(context(SESSION))
    assert result.outcome is Outcome.DONE
    assert result.counts["failed"] == 1
    assert "NSE:C: unknown token" in result.reason
    assert len(town.bars.history(2))
    assert not len(town.bars.history(4))


async def test_the_failed_symbol_alone_is_fetched_by_the_next_run() -> None:
    town = small_town()
    town.market.troubles["NSE:C"] = RetryableError("502")
    await town.collect()(context(SESSION))
    town.market.troubles.clear()
    town.market.candle_requests.clear()
    await town.collect()(context(SESSION))
    assert [symbol for symbol, _, _ in town.market.candle_requests] == ["NSE:C"]


async def test_a_missing_login_stops_at_once_with_its_reason() -> None:
    town = small_town()
    for symbol in (*SYMBOLS, "NSE:NIFTY 500"):
        town.market.troubles[symbol] = NeedsLoginError("the session is over: log in at /login")
    result = await town.collect()(context(SESSION))
    assert result.outcome is Outcome.FAILED
    assert "log in" in result.reason
    assert len(town.market.candle_requests) <= town.settings.concurrency


async def test_a_market_that_answers_nobody_is_given_up() -> None:
    town = build_sample_market([history(f"NSE:S{number:03d}") for number in range(60)])
    town.market.troubles = {symbol: RetryableError("503") for symbol in town.market.histories}
    result = await town.collect()(context(SESSION))
    assert result.outcome is Outcome.FAILED
    assert "20 consecutive symbols failed" in result.reason
    assert len(town.market.candle_requests) < 30


async def test_bad_candles_are_quarantined_and_the_rest_is_kept() -> None:
    town = small_town()
    records = town.market.histories["NSE:B"].records
    records["high"][-40] = 1.0
    bad = records["session"][-40].item()
    result = await town.collect()(context(SESSION))
    assert result.counts["quarantined"] == 1
    (kept,) = town.quarantine.kept.values()
    assert (kept.symbol, kept.session, kept.rule) == ("NSE:B", bad, QualityRule.HIGH_BELOW_LOW)
    assert bad not in town.bars.rows[3]
    assert town.bars.rows[3]


async def test_an_unadjusted_split_excludes_the_symbol_in_the_panel() -> None:
    """The flag is raised from the panel, and the panel written once more so that it carries the reason."""
    town = small_town()
    records = town.market.histories["NSE:D"].records
    for name in ("open", "high", "low", "close"):
        records[name][-40:] /= 5.0
    result = await town.collect()(context(SESSION))
    assert result.counts["excluded"] == 1
    assert "split 1:5" in town.panels.panel.exclusions["NSE:D"]


async def test_doubts_about_a_symbol_that_left_the_universe_go_with_it() -> None:
    """Nobody would ever judge it again, so its flag would stand, and be counted, for ever."""
    town = small_town()
    departed = QualityFlag("NSE:GONE", QualityRule.JUMP_BEYOND_BAND, SESSION, "suspected", excludes=True)
    town.quarantine.raised = [departed]
    result = await town.collect()(context(SESSION))
    assert not town.quarantine.raised
    assert result.counts.get("excluded", 0) == 0


async def test_a_symbol_whose_doubts_cannot_be_computed_is_left_out_with_the_reason() -> None:
    town = small_town()
    town.workers.poisoned = frozenset({"NSE:E"})
    await town.collect()(context(SESSION))
    assert town.panels.panel.exclusions == {"NSE:E": "kills its worker"}


async def test_a_split_during_a_longer_absence_brings_the_whole_history_anew() -> None:
    """Several sessions are missing; the overlapping old bars have changed; one rescaled history results."""
    town = await settled_town()
    records = town.market.histories["NSE:A"].records
    for name in ("open", "high", "low", "close"):
        records[name] /= 2.0
    town.clock.at, town.market.quoted_session = datetime(2025, 7, 4, 10, 5, tzinfo=UTC), date(2025, 7, 4)
    result = await town.collect()(context(date(2025, 7, 4)))
    assert result.counts["restated"] == 1
    stored = town.bars.history(2)
    served = BarSeries("NSE:A", records[records["session"] >= stored.sessions[0]]).until(date(2025, 7, 4))
    assert np.array_equal(stored.close, served.close)


async def test_a_longer_history_asked_for_later_fetches_its_head() -> None:
    town = await settled_town()
    before = town.bars.requested[2].first
    town.settings = type(town.settings)(history_years=0.2, concurrency=3, overlap_sessions=5)
    await town.collect()(context(SESSION))
    assert town.bars.requested[2].first < before
    assert town.bars.requested[2].last == SESSION
    assert len(town.market.candle_requests) == len(SYMBOLS) + 1


async def test_an_empty_universe_says_what_to_run_first() -> None:
    town = small_town()
    town.instruments.rows.clear()
    result = await town.collect()(context(SESSION))
    assert result.outcome is Outcome.FAILED
    assert "instruments" in result.reason
    assert result.retryable  # the list, too, may have been out of reach only for a while


@pytest.mark.parametrize(
    ("error", "passing"), [(RetryableError("503"), True), (PermanentError("the plan lacks data"), False)]
)
async def test_a_failed_run_says_whether_it_may_pass(error: VcpdError, *, passing: bool) -> None:
    """Whether one symbol after another fails or all of a few: what follows is decided by the error's type."""
    for count in (3, 60):
        town = build_sample_market([history(f"NSE:S{number:03d}") for number in range(count)])
        town.market.troubles = dict.fromkeys(town.market.histories, error)
        result = await town.collect()(context(SESSION))
        assert (result.outcome, result.retryable) == (Outcome.FAILED, passing)


@pytest.mark.parametrize("scene", ["backfill", "sweep"])
async def test_killed_at_any_instant_and_run_again_the_rows_are_the_same(scene: str) -> None:
    """For every await of a run: die there, start anew, and end with the rows of an undisturbed run."""
    expected = await _after(scene, None)
    deaths = 0
    for instant in range(2_000):
        town = await _scene(scene)
        if not await _dies(town, instant):
            break
        asked = [symbol for symbol, _, _ in town.market.candle_requests]
        town.let_live()
        result = await town.collect()(context(town.target))
        assert result.outcome is Outcome.DONE
        assert town.rows() == expected
        deaths += 1
        repeated = len(town.market.candle_requests) - len(set(town.market.candle_requests))
        assert repeated <= min(len(asked), town.settings.concurrency)
    assert deaths > 10


async def settled_town() -> SampleMarket:
    """Everything final up to SESSION, requests forgotten."""
    town = small_town()
    await town.collect()(context(SESSION))
    town.clock.at = MORNING
    await town.reconcile()(context(NEXT_SESSION))
    town.market.candle_requests.clear()
    town.market.quote_requests.clear()
    return town


async def _scene(scene: str) -> SampleMarket:
    if scene == "backfill":
        town, target = small_town(), SESSION
        town.clock.at = EVENING
    else:
        town, target = await settled_town(), NEXT_SESSION
        town.clock.at, town.market.quoted_session = NEXT_EVENING, NEXT_SESSION
    town.target = target
    return town


async def _after(scene: str, dies_at: int | None) -> dict[int, list[tuple[object, ...]]]:
    town = await _scene(scene)
    town.let_live(dies_at)
    await town.collect()(context(town.target))
    return town.rows()


async def _dies(town: SampleMarket, instant: int) -> bool:
    town.let_live(instant)
    killed = False
    try:
        await town.collect()(context(town.target))
    except* KilledError:
        killed = True
    return killed


def test_a_history_of_the_town_lies_on_sessions() -> None:
    """The scenery is honest: otherwise every test above would test quarantine."""
    days = series_of("NSE:A", NSE.sessions(date(2025, 6, 1), SESSION)).sessions
    assert all(NSE.is_session(day) for day in days.tolist())


async def test_a_whole_market_that_trades_on_a_saturday_is_named_with_the_setting_to_correct() -> None:
    """Its rows are quarantined; the run's reason says once what to do about them."""
    saturday = date(2025, 6, 28)
    days = np.sort(np.append(NSE.sessions(date(2025, 4, 1), SESSION), np.datetime64(saturday)))
    town = build_sample_market([series_of(symbol, days) for symbol in SYMBOLS])
    result = await town.collect()(context(SESSION))
    assert result.outcome is Outcome.DONE
    assert result.counts["quarantined"] == len(SYMBOLS)
    assert result.reason.startswith("5 symbols have bars of Saturday 2025-06-28, which is no session")
    assert 'add "2025-06-28" to [schedule] extra_sessions' in result.reason
    again = await town.reconcile()(context(SESSION))
    assert "extra_sessions" not in again.reason


async def test_a_single_row_on_a_saturday_is_an_error_of_the_data() -> None:
    days = np.sort(np.append(NSE.sessions(date(2025, 4, 1), SESSION), np.datetime64("2025-06-28")))
    others = [history(symbol, SESSION) for symbol in SYMBOLS[1:]]
    town = build_sample_market([series_of("NSE:A", days), *others])
    result = await town.collect()(context(SESSION))
    assert (result.counts["quarantined"], result.reason) == (1, "")


async def test_a_session_of_which_no_symbol_has_a_bar_is_named_with_the_setting_to_correct() -> None:
    """The exchange stayed closed on a day on which the calendar expects it to trade."""
    before = NSE.previous(SESSION)
    town = build_sample_market([history(symbol, before) for symbol in SYMBOLS])
    town.market.histories["NSE:NIFTY 500"] = history("NSE:NIFTY 500", before)
    result = await town.collect()(context(SESSION))
    assert result.outcome is Outcome.DONE
    assert f"if the exchange was closed, add {SESSION} to [schedule] extra_holidays" in result.reason
