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
from vcpd.core.errors import (
    NeedsLoginError,
    NotPublishedYetError,
    PermanentError,
    RetryableError,
    VcpdError,
)
from vcpd.domain.bars import BarSeries
from vcpd.domain.nse_calendar import NSE
from vcpd.domain.quality_rules import QualityFlag, QualityRule
from vcpd.domain.runs import Outcome

SYMBOLS = ("NSE:A", "NSE:B", "NSE:C", "NSE:D", "NSE:E")


NEXT_SETTLED = NEXT_EVENING.replace(minute=35)


def small_sample() -> SampleMarket:
    return build_sample_market([history(symbol) for symbol in SYMBOLS])


async def test_an_empty_store_is_filled_with_one_request_a_symbol() -> None:
    sample = small_sample()
    result = await sample.collect()(context(SESSION))
    assert result.outcome is Outcome.DONE
    assert result.counts["fetched"] == len(SYMBOLS) + 1
    assert len(sample.market.candle_requests) == len(SYMBOLS) + 1
    assert all(series.last_session == SESSION for series in map(sample.bars.history, sample.bars.symbols))


async def test_the_evening_candle_is_provisional_and_older_ones_are_final() -> None:
    sample = small_sample()
    await sample.collect()(context(SESSION))
    provisional = sample.bars.history(2).provisional
    assert provisional[-1]
    assert not provisional[:-1].any()


async def test_a_complete_store_is_not_asked_for_again() -> None:
    """Run twice in the settled evening: the second run makes no request at all."""
    sample = small_sample()
    collect = sample.collect()
    await collect(context(SESSION))
    sample.clock.at = SETTLED
    await collect(context(SESSION))
    asked = (len(sample.market.candle_requests), len(sample.market.quote_requests))
    rows = sample.rows()
    again = await collect(context(SESSION))
    assert (len(sample.market.candle_requests), len(sample.market.quote_requests)) == asked
    assert sample.rows() == rows
    assert "inserted" not in again.counts


@pytest.mark.parametrize("is_complete", [True, False])
async def test_a_session_that_is_not_published_yet_is_skipped_and_tried_again(is_complete: bool) -> None:
    """By quotes where only this session is missing, by candles where the store is empty: nothing fails."""
    sample = await settled_sample() if is_complete else small_sample()
    sample.clock.at, sample.market.quoted_session = NEXT_EVENING, NEXT_SESSION
    not_yet = NotPublishedYetError("the file of 2025-07-01 is not in the archive yet")
    sample.market.problems = dict.fromkeys(("quotes", *SYMBOLS, "NSE:NIFTY 500"), not_yet)
    result = await sample.collect()(context(NEXT_SESSION))
    assert (result.outcome, result.retryable, result.reason) == (Outcome.SKIPPED, True, str(not_yet))
    assert "failed" not in result.counts
    sample.market.problems = {}
    again = await sample.collect()(context(NEXT_SESSION))
    assert again.outcome is Outcome.DONE
    assert sample.bars.history(2).last_session == NEXT_SESSION


async def test_the_session_just_closed_comes_by_one_snapshot() -> None:
    """Where only the last session is missing, one quote request serves everybody, and no candle is asked."""
    sample = await settled_sample()
    sample.clock.at, sample.market.quoted_session = NEXT_EVENING, NEXT_SESSION
    result = await sample.collect()(context(NEXT_SESSION))
    assert len(sample.market.quote_requests) == 1
    assert not sample.market.candle_requests
    assert result.counts["swept"] == len(SYMBOLS) + 1
    last = sample.bars.history(2).records[-1]
    assert last["session"].item() == NEXT_SESSION
    assert last["provisional"]


async def test_a_suspended_symbol_gets_no_bar_from_an_old_quote() -> None:
    sample = await settled_sample()
    sample.clock.at, sample.market.quoted_session = NEXT_SETTLED, NEXT_SESSION
    sample.market.quotes_at["NSE:B"] = "2025-06-30 15:29:59"
    result = await sample.collect()(context(NEXT_SESSION))
    assert result.counts["without_bar"] == 1
    assert sample.bars.history(3).last_session == SESSION
    assert sample.bars.requested[3].last == NEXT_SESSION


async def test_who_trades_only_in_the_closing_auction_is_asked_again_once_it_is_over() -> None:
    """At 15:35 the last trade is yesterday's: that proves no suspension before the prices have settled."""
    sample = await settled_sample()
    sample.clock.at, sample.market.quoted_session = NEXT_EVENING, NEXT_SESSION
    sample.market.quotes_at["NSE:B"] = "2025-06-30 15:29:59"
    collect = sample.collect()
    await collect(context(NEXT_SESSION))
    again = await collect(context(NEXT_SESSION))  # by hand, before anything has settled
    assert again.outcome is Outcome.DONE
    sample.clock.at = NEXT_SETTLED
    sample.market.quotes_at.clear()
    await collect(context(NEXT_SESSION))
    assert sample.bars.history(3).last_session == NEXT_SESSION


async def test_a_quote_that_was_kept_apart_is_asked_for_again() -> None:
    """A broken quote costs its symbol half an hour, not the evening."""
    sample = await settled_sample()
    sample.clock.at, sample.market.quoted_session = NEXT_EVENING, NEXT_SESSION
    records = sample.market.histories["NSE:B"].records
    (at,) = np.flatnonzero(records["session"] == np.datetime64(NEXT_SESSION))
    sound = records["open"][at]
    records["open"][at] = 0.0
    collect = sample.collect()
    result = await collect(context(NEXT_SESSION))
    assert result.counts["quarantined"] == 1
    records["open"][at] = sound
    sample.clock.at = NEXT_SETTLED
    await collect(context(NEXT_SESSION))
    assert sample.bars.history(3).last_session == NEXT_SESSION


async def test_a_symbol_that_the_quotes_leave_out_gets_its_candle_at_once() -> None:
    """An answer that lost a symbol on its way says nothing of it: it is asked for by itself."""
    sample = await settled_sample()
    sample.clock.at, sample.market.quoted_session = NEXT_EVENING, NEXT_SESSION
    sample.market.unquoted = {"NSE:B"}
    result = await sample.collect()(context(NEXT_SESSION))
    assert [symbol for symbol, _, _ in sample.market.candle_requests] == ["NSE:B"]
    assert sample.bars.history(3).last_session == NEXT_SESSION
    assert result.counts["without_bar"] == 1


async def test_a_symbol_without_an_answer_is_not_requested_again() -> None:
    sample = await settled_sample()
    sample.clock.at, sample.market.quoted_session = NEXT_EVENING, NEXT_SESSION
    sample.market.unquoted = {"NSE:B"}
    sample.market.problems["NSE:B"] = RetryableError("no answer")
    result = await sample.collect()(context(NEXT_SESSION))
    assert result.counts["failed"] == 1
    assert result.outcome is Outcome.DONE  # the others' evening goes on
    assert "NSE:B: no answer" in result.reason
    assert sample.bars.requested[3].last == SESSION


@pytest.mark.parametrize(
    "problem", [RetryableError("503"), PermanentError("the plan lacks data")], ids=["away", "denied"]
)
async def test_an_evening_without_any_quote_is_served_by_candles(problem: VcpdError) -> None:
    """Slower, but whole; five past four takes the settled price in the same way."""
    sample = await settled_sample()
    sample.clock.at, sample.market.quoted_session = NEXT_EVENING, NEXT_SESSION
    sample.market.problems["quotes"] = problem
    collect = sample.collect()
    result = await collect(context(NEXT_SESSION))
    assert result.outcome is Outcome.DONE
    assert f"{problem}; 6 symbols by candles instead" in result.reason
    assert all(sample.bars.history(key).last_session == NEXT_SESSION for key in sample.bars.symbols)
    records = sample.market.histories["NSE:B"].records
    at = records["session"] == np.datetime64(NEXT_SESSION)
    records["close"][at] *= 1.001
    sample.clock.at = NEXT_SETTLED
    await collect(context(NEXT_SESSION))
    assert sample.bars.history(3).close[-1] == records["close"][at][0]


async def test_quotes_that_come_in_part_leave_only_the_rest_to_candles(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("vcpd.domain.instruments.MAX_QUOTES_PER_REQUEST", 2)
    sample = await settled_sample()
    sample.clock.at, sample.market.quoted_session = NEXT_EVENING, NEXT_SESSION
    sample.market.unanswered = {"NSE:B"}
    result = await sample.collect()(context(NEXT_SESSION))
    assert result.outcome is Outcome.DONE
    assert result.counts["swept"] == 4
    assert sorted(symbol for symbol, _, _ in sample.market.candle_requests) == ["NSE:B", "NSE:C"]


async def test_who_failed_in_passing_is_asked_for_once_more_in_the_same_run() -> None:
    sample = small_sample()
    sample.market.falters = {"NSE:C": 1, "NSE:D": 2}
    result = await sample.collect()(context(SESSION))
    assert result.counts["failed"] == 1
    assert "NSE:C" not in result.reason
    assert "NSE:D: 502" in result.reason
    asked = [symbol for symbol, _, _ in sample.market.candle_requests]
    assert (asked.count("NSE:C"), asked.count("NSE:D"), asked.count("NSE:E")) == (2, 2, 1)
    assert sample.bars.history(4).last_session == SESSION


async def test_who_fails_for_good_is_not_asked_for_again() -> None:
    sample = small_sample()
    sample.market.problems["NSE:C"] = PermanentError("unknown token")
    await sample.collect()(context(SESSION))
    assert [symbol for symbol, _, _ in sample.market.candle_requests].count("NSE:C") == 1


async def test_an_unsettled_price_that_the_quotes_leave_out_is_settled_by_its_candle() -> None:
    """Five past four: the close after the auction reaches the one symbol that the answer lost too."""
    sample = await settled_sample()
    sample.clock.at, sample.market.quoted_session = NEXT_EVENING, NEXT_SESSION
    collect = sample.collect()
    await collect(context(NEXT_SESSION))
    records = sample.market.histories["NSE:B"].records
    records["close"][records["session"] == np.datetime64(NEXT_SESSION)] *= 1.001
    sample.clock.at, sample.market.unquoted = NEXT_EVENING.replace(minute=35), {"NSE:B"}
    await collect(context(NEXT_SESSION))
    expected = records["close"][records["session"] == np.datetime64(NEXT_SESSION)][0]
    assert sample.bars.history(3).close[-1] == expected
    assert sample.bars.history(3).provisional[-1]
    assert sample.market.candle_requests == [("NSE:B", NEXT_SESSION, NEXT_SESSION)]


async def test_after_the_next_opening_candles_serve_instead_of_quotes() -> None:
    """A quote taken in the next session does not tell the last one's bar."""
    sample = await settled_sample()
    sample.clock.at = datetime(2025, 7, 2, 5, 0, tzinfo=UTC)
    sample.market.quoted_session = date(2025, 7, 2)
    await sample.collect()(context(NEXT_SESSION))
    assert not sample.market.quote_requests
    assert len(sample.market.candle_requests) == len(SYMBOLS) + 1
    assert sample.bars.history(2).last_session == NEXT_SESSION


async def test_quotes_of_another_day_fail_the_run_and_mark_nothing_as_asked() -> None:
    """An unexpected holiday is told, and the session is asked for again later."""
    sample = await settled_sample()
    sample.clock.at, sample.market.quoted_session = NEXT_EVENING, SESSION
    result = await sample.collect()(context(NEXT_SESSION))
    assert result.outcome is Outcome.FAILED
    assert "2025-07-01" in result.reason
    assert all(span.last == SESSION for span in sample.bars.requested.values())


async def test_the_second_evening_run_takes_the_settled_price() -> None:
    sample = await settled_sample()
    sample.clock.at, sample.market.quoted_session = NEXT_EVENING, NEXT_SESSION
    collect = sample.collect()
    await collect(context(NEXT_SESSION))
    records = sample.market.histories["NSE:A"].records
    records["close"][records["session"] == np.datetime64(NEXT_SESSION)] *= 1.001
    sample.clock.at = NEXT_EVENING.replace(minute=35)
    await collect(context(NEXT_SESSION))
    expected = records["close"][records["session"] == np.datetime64(NEXT_SESSION)][0]
    assert sample.bars.history(2).close[-1] == expected


async def test_a_running_session_is_not_collected() -> None:
    """Before the close the last closed session is the target."""
    sample = small_sample()
    sample.clock.at = datetime(2025, 6, 30, 6, 0, tzinfo=UTC)
    await sample.collect()(context(SESSION))
    assert sample.bars.history(2).last_session == date(2025, 6, 27)


async def test_one_symbols_failure_is_counted_and_stops_no_other() -> None:
    sample = small_sample()
    sample.market.problems["NSE:C"] = PermanentError("unknown token")
    result = await sample.collect()(context(SESSION))
    assert result.outcome is Outcome.DONE
    assert result.counts["failed"] == 1
    assert "NSE:C: unknown token" in result.reason
    assert len(sample.bars.history(2))
    assert not len(sample.bars.history(4))


async def test_the_failed_symbol_alone_is_fetched_by_the_next_run() -> None:
    sample = small_sample()
    sample.market.problems["NSE:C"] = RetryableError("502")
    await sample.collect()(context(SESSION))
    sample.market.problems.clear()
    sample.market.candle_requests.clear()
    await sample.collect()(context(SESSION))
    assert [symbol for symbol, _, _ in sample.market.candle_requests] == ["NSE:C"]


async def test_a_missing_login_stops_at_once_with_its_reason() -> None:
    sample = small_sample()
    for symbol in (*SYMBOLS, "NSE:NIFTY 500"):
        sample.market.problems[symbol] = NeedsLoginError("the session is over: log in at /login")
    result = await sample.collect()(context(SESSION))
    assert result.outcome is Outcome.FAILED
    assert "log in" in result.reason
    assert len(sample.market.candle_requests) <= sample.settings.concurrency


async def test_a_market_that_does_not_answer_is_given_up() -> None:
    sample = build_sample_market([history(f"NSE:S{number:03d}") for number in range(60)])
    sample.market.problems = {symbol: RetryableError("503") for symbol in sample.market.histories}
    result = await sample.collect()(context(SESSION))
    assert result.outcome is Outcome.FAILED
    assert "20 consecutive symbols failed" in result.reason
    assert len(sample.market.candle_requests) < 30


async def test_bad_candles_are_quarantined_and_the_rest_is_kept() -> None:
    sample = small_sample()
    records = sample.market.histories["NSE:B"].records
    records["high"][-40] = 1.0
    bad = records["session"][-40].item()
    result = await sample.collect()(context(SESSION))
    assert result.counts["quarantined"] == 1
    (kept,) = sample.quarantine.kept.values()
    assert (kept.symbol, kept.session, kept.rule) == ("NSE:B", bad, QualityRule.HIGH_BELOW_LOW)
    assert bad not in sample.bars.rows[3]
    assert sample.bars.rows[3]


async def test_an_unadjusted_split_excludes_the_symbol_in_the_panel() -> None:
    """The flag is raised from the panel, and the panel written once more so that it carries the reason."""
    sample = small_sample()
    records = sample.market.histories["NSE:D"].records
    for name in ("open", "high", "low", "close"):
        records[name][-40:] /= 5.0
    result = await sample.collect()(context(SESSION))
    assert result.counts["excluded"] == 1
    assert "split 1:5" in sample.panels.panel.exclusions["NSE:D"]


async def test_doubts_about_a_symbol_that_left_the_universe_go_with_it() -> None:
    """Nobody would ever judge it again, so its flag would stand, and be counted, for ever."""
    sample = small_sample()
    departed = QualityFlag("NSE:GONE", QualityRule.JUMP_BEYOND_BAND, SESSION, "suspected", excludes=True)
    sample.quarantine.raised = [departed]
    result = await sample.collect()(context(SESSION))
    assert not sample.quarantine.raised
    assert result.counts.get("excluded", 0) == 0


async def test_a_symbol_whose_doubts_cannot_be_computed_is_left_out_with_the_reason() -> None:
    sample = small_sample()
    sample.workers.poisoned = frozenset({"NSE:E"})
    await sample.collect()(context(SESSION))
    assert sample.panels.panel.exclusions == {"NSE:E": "kills its worker"}


async def test_a_split_during_a_longer_absence_brings_the_whole_history_anew() -> None:
    """Several sessions are missing; the overlapping old bars have changed; one rescaled history results."""
    sample = await settled_sample()
    records = sample.market.histories["NSE:A"].records
    for name in ("open", "high", "low", "close"):
        records[name] /= 2.0
    sample.clock.at, sample.market.quoted_session = datetime(2025, 7, 4, 10, 5, tzinfo=UTC), date(2025, 7, 4)
    result = await sample.collect()(context(date(2025, 7, 4)))
    assert result.counts["restated"] == 1
    stored = sample.bars.history(2)
    served = BarSeries("NSE:A", records[records["session"] >= stored.sessions[0]]).until(date(2025, 7, 4))
    assert np.array_equal(stored.close, served.close)


async def test_a_longer_history_asked_for_later_fetches_its_head() -> None:
    sample = await settled_sample()
    before = sample.bars.requested[2].first
    sample.settings = type(sample.settings)(history_years=0.2, concurrency=3, overlap_sessions=5)
    await sample.collect()(context(SESSION))
    assert sample.bars.requested[2].first < before
    assert sample.bars.requested[2].last == SESSION
    assert len(sample.market.candle_requests) == len(SYMBOLS) + 1


async def test_an_empty_universe_says_what_to_run_first() -> None:
    sample = small_sample()
    sample.instruments.rows.clear()
    result = await sample.collect()(context(SESSION))
    assert result.outcome is Outcome.FAILED
    assert "instruments" in result.reason
    assert result.retryable  # the list, too, may have been out of reach only for a while


@pytest.mark.parametrize(
    ("error", "passing"), [(RetryableError("503"), True), (PermanentError("the plan lacks data"), False)]
)
async def test_a_failed_run_says_whether_it_may_pass(error: VcpdError, *, passing: bool) -> None:
    """Whether one symbol after another fails or all of a few: what follows is decided by the error's type."""
    for count in (3, 60):
        sample = build_sample_market([history(f"NSE:S{number:03d}") for number in range(count)])
        sample.market.problems = dict.fromkeys(sample.market.histories, error)
        result = await sample.collect()(context(SESSION))
        assert (result.outcome, result.retryable) == (Outcome.FAILED, passing)


@pytest.mark.parametrize("scene", ["backfill", "sweep"])
async def test_killed_at_any_instant_and_run_again_the_rows_are_the_same(scene: str) -> None:
    """For every await of a run: die there, start anew, and end with the rows of an undisturbed run."""
    expected = await _after(scene, None)
    deaths = 0
    for instant in range(2_000):
        sample = await _scene(scene)
        if not await _dies(sample, instant):
            break
        asked = [symbol for symbol, _, _ in sample.market.candle_requests]
        sample.let_live()
        result = await sample.collect()(context(sample.target))
        assert result.outcome is Outcome.DONE
        assert sample.rows() == expected
        deaths += 1
        repeated = len(sample.market.candle_requests) - len(set(sample.market.candle_requests))
        assert repeated <= min(len(asked), sample.settings.concurrency)
    assert deaths > 10


async def settled_sample() -> SampleMarket:
    """Everything final up to SESSION, requests forgotten."""
    sample = small_sample()
    await sample.collect()(context(SESSION))
    sample.clock.at = MORNING
    await sample.reconcile()(context(NEXT_SESSION))
    sample.market.candle_requests.clear()
    sample.market.quote_requests.clear()
    return sample


async def _scene(scene: str) -> SampleMarket:
    if scene == "backfill":
        sample, target = small_sample(), SESSION
        sample.clock.at = EVENING
    else:
        sample, target = await settled_sample(), NEXT_SESSION
        sample.clock.at, sample.market.quoted_session = NEXT_EVENING, NEXT_SESSION
    sample.target = target
    return sample


async def _after(scene: str, dies_at: int | None) -> dict[int, list[tuple[object, ...]]]:
    sample = await _scene(scene)
    sample.let_live(dies_at)
    await sample.collect()(context(sample.target))
    return sample.rows()


async def _dies(sample: SampleMarket, instant: int) -> bool:
    sample.let_live(instant)
    killed = False
    try:
        await sample.collect()(context(sample.target))
    except* KilledError:
        killed = True
    return killed


def test_a_history_of_the_sample_lies_on_sessions() -> None:
    """The scenery is honest: otherwise every test above would test quarantine."""
    days = series_of("NSE:A", NSE.sessions(date(2025, 6, 1), SESSION)).sessions
    assert all(NSE.is_session(day) for day in days.tolist())


async def test_a_whole_market_that_trades_on_a_saturday_is_named_with_the_setting_to_correct() -> None:
    """Its rows are quarantined; the run's reason says once what to do about them."""
    saturday = date(2025, 6, 28)
    days = np.sort(np.append(NSE.sessions(date(2025, 4, 1), SESSION), np.datetime64(saturday)))
    sample = build_sample_market([series_of(symbol, days) for symbol in SYMBOLS])
    result = await sample.collect()(context(SESSION))
    assert result.outcome is Outcome.DONE
    assert result.counts["quarantined"] == len(SYMBOLS)
    assert result.reason.startswith("5 symbols have bars of Saturday 2025-06-28, which is not a session")
    assert 'add "2025-06-28" to [schedule] extra_sessions' in result.reason
    again = await sample.reconcile()(context(SESSION))
    assert "extra_sessions" not in again.reason


async def test_a_single_row_on_a_saturday_is_an_error_of_the_data() -> None:
    days = np.sort(np.append(NSE.sessions(date(2025, 4, 1), SESSION), np.datetime64("2025-06-28")))
    others = [history(symbol, SESSION) for symbol in SYMBOLS[1:]]
    sample = build_sample_market([series_of("NSE:A", days), *others])
    result = await sample.collect()(context(SESSION))
    assert (result.counts["quarantined"], result.reason) == (1, "")


async def test_a_session_of_which_no_symbol_has_a_bar_is_named_with_the_setting_to_correct() -> None:
    """The exchange stayed closed on a day on which the calendar expects it to trade."""
    before = NSE.previous(SESSION)
    sample = build_sample_market([history(symbol, before) for symbol in SYMBOLS])
    sample.market.histories["NSE:NIFTY 500"] = history("NSE:NIFTY 500", before)
    result = await sample.collect()(context(SESSION))
    assert result.outcome is Outcome.DONE
    assert f"if the exchange was closed, add {SESSION} to [schedule] extra_holidays" in result.reason
