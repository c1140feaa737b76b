"""The job `scan`: which symbols entered and left, and that a past session never gets today's verdicts."""

from datetime import date

import msgspec
import pytest

from tests.fakes.collection import context
from tests.fakes.results import FakeRiskStore, FakeSetupStore
from tests.fakes.watch import FakeNotifier
from tests.jobs.sample_market import INDEX, MORNING, SESSION, SampleMarket, build_sample_market, history
from vcpd.analysis.scans.request import ScanParams, ScanSettings
from vcpd.core.errors import BadInputError, RetryableError
from vcpd.domain.alerts import AlertKind
from vcpd.domain.nse_calendar import NSE
from vcpd.domain.runs import Outcome
from vcpd.domain.setups import EncodedSetup, Setup
from vcpd.jobs.scan import Scan, ScanEvaluator

SYMBOLS = [f"NSE:S{number}" for number in range(6)]
YESTERDAY: date = NSE.sessions(date(SESSION.year - 1, SESSION.month, 1), SESSION)[-2].item()


async def _collected() -> SampleMarket:
    names = [*SYMBOLS, INDEX.symbol]
    sample = build_sample_market([history(symbol, SESSION, 300) for symbol in names], now=MORNING)
    await sample.collect()(context(SESSION))
    return sample


def _job(
    sample: SampleMarket, settings: ScanSettings, setups: FakeSetupStore | None = None
) -> tuple[Scan, FakeNotifier]:
    alerts = FakeNotifier()
    evaluate = ScanEvaluator(sample.workers, setups or FakeSetupStore(), FakeRiskStore())
    return Scan(sample.universe_panels, evaluate, alerts, sample.clock, NSE, settings, 2), alerts


def _verdict(symbol: str, session: date, score: float) -> EncodedSetup:
    return EncodedSetup.of(
        msgspec.structs.replace(Setup.unevaluated(symbol, session, "x"), score=score, reason=None)
    )


async def test_symbols_that_entered_and_left_are_published_once_for_each_scan() -> None:
    """Scores of two sessions: S1 falls below the limit, S2 rises above it, S0 stays."""
    sample, setups = await _collected(), FakeSetupStore()
    for session, scores in ((YESTERDAY, (80, 80, 10)), (SESSION, (80, 10, 80))):
        verdicts = [_verdict(symbol, session, score) for symbol, score in zip(SYMBOLS, scores, strict=False)]
        await setups.put(session, verdicts, [])
    job, published = _job(sample, ScanSettings(saved={"best": "score > 50"}, follow=("best",)), setups)
    result = await job(context(SESSION, "scan"))
    assert result.outcome is Outcome.DONE
    assert result.counts == {"matches": 2, "entered": 1, "left": 1}
    (alert,) = published.published.values()
    assert alert.kind is AlertKind.SCAN
    assert alert.key == f"scan:best:{SESSION}"
    assert (alert.facts["entered"], alert.facts["left"]) == ("S2", "S1")
    assert alert.facts["headline"] == "1 entered, 1 left, 2 match"


async def test_no_change_publishes_nothing() -> None:
    sample = await _collected()
    job, published = _job(sample, ScanSettings(saved={"every": "close > 0"}, follow=("every",)))
    result = await job(context(SESSION, "scan"))
    assert result.counts == {"matches": 7, "entered": 0, "left": 0}
    assert published.published == {}


async def test_without_a_followed_scan_the_run_is_skipped() -> None:
    job, _ = _job(await _collected(), ScanSettings())
    result = await job(context(SESSION, "scan"))
    assert (result.outcome, result.reason) == (
        Outcome.SKIPPED,
        "no scan is followed: name some in [scans] follow",
    )


async def test_a_session_without_verdicts_is_refused_and_never_answered_with_those_of_another() -> None:
    sample, setups = await _collected(), FakeSetupStore()
    await setups.put(SESSION, [_verdict(symbol, SESSION, 80) for symbol in SYMBOLS], [])
    evaluate = ScanEvaluator(sample.workers, setups, FakeRiskStore())
    panel = await sample.universe_panels.current_or_new()
    asked = ScanParams(expression="score > 50")
    assert (await evaluate(panel, SESSION, asked)).count == 6
    with pytest.raises(BadInputError, match="score: the session has no stored verdicts; screen it first"):
        await evaluate(panel, YESTERDAY, asked)


async def test_a_session_that_is_not_screened_yet_is_tried_again_later() -> None:
    """The screen may have failed and be about to be repeated."""
    job, published = _job(await _collected(), ScanSettings(saved={"best": "score > 50"}, follow=("best",)))
    with pytest.raises(RetryableError, match="scan best: score: the session has no stored verdicts"):
        await job(context(SESSION, "scan"))
    assert published.published == {}


async def test_the_first_screened_session_reports_nobody_as_new() -> None:
    sample, setups = await _collected(), FakeSetupStore()
    await setups.put(SESSION, [_verdict(symbol, SESSION, 80) for symbol in SYMBOLS], [])
    job, published = _job(sample, ScanSettings(saved={"best": "score > 50"}, follow=("best",)), setups)
    result = await job(context(SESSION, "scan"))
    assert result.counts == {"matches": 6, "entered": 0, "left": 0}
    assert published.published == {}


def test_saved_and_followed_scans_are_checked_with_their_place() -> None:
    with pytest.raises(
        ValueError, match=r"saved\.mine: scan, character 9, at 'smma\(50\)': unknown function"
    ):
        ScanSettings(saved={"mine": "close > smma(50)"})
    with pytest.raises(ValueError, match="follow: there is no scan 'mine'"):
        ScanSettings(follow=("mine",))
