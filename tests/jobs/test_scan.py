"""The job `scan`: which symbols entered and left, and that a past session never gets today's verdicts."""

from collections.abc import Sequence
from datetime import date

import msgspec
import pytest

from tests.fakes.collection import context
from tests.fakes.regimes import FakeRegimes, rank_of, regime_of
from tests.fakes.results import FakeRiskStore, FakeSetupStore
from tests.fakes.scans import FakeSavedScans
from tests.fakes.watch import FakeNotifier
from tests.jobs.sample_market import INDEX, MORNING, SESSION, SampleMarket, build_sample_market, history
from vcpd.analysis.scans.request import ScanParams, ScanSettings
from vcpd.core.errors import BadInputError, RetryableError
from vcpd.domain.alerts import AlertKind
from vcpd.domain.instruments import CompanySector
from vcpd.domain.market_regime import SectorLevel, SectorRank
from vcpd.domain.nse_calendar import NSE
from vcpd.domain.risk import EncodedRiskScore, RiskBand, RiskScore
from vcpd.domain.runs import Outcome
from vcpd.domain.scans import SavedScan
from vcpd.domain.setups import EncodedSetup, Setup
from vcpd.jobs.scan import Scan, ScanEvaluator, ScanLibrary, StoredScanValues

SYMBOLS = [f"NSE:S{number}" for number in range(6)]
YESTERDAY: date = NSE.sessions(date(SESSION.year - 1, SESSION.month, 1), SESSION)[-2].item()


async def _collected() -> SampleMarket:
    names = [*SYMBOLS, INDEX.symbol]
    sample = build_sample_market([history(symbol, SESSION, 300) for symbol in names], now=MORNING)
    await sample.collect()(context(SESSION))
    return sample


def _evaluator(
    sample: SampleMarket,
    setups: FakeSetupStore | None = None,
    risk: FakeRiskStore | None = None,
    regimes: FakeRegimes | None = None,
) -> ScanEvaluator:
    stores = setups or FakeSetupStore(), risk or FakeRiskStore(), regimes or FakeRegimes(is_empty=True)
    return ScanEvaluator(sample.workers, StoredScanValues(sample.instruments, *stores))


def _job(
    sample: SampleMarket,
    settings: ScanSettings,
    setups: FakeSetupStore | None = None,
    *saved: SavedScan,
) -> tuple[Scan, FakeNotifier]:
    alerts, library = FakeNotifier(), ScanLibrary(settings, FakeSavedScans(*saved))
    evaluate = _evaluator(sample, setups)
    return Scan(sample.universe_panels, evaluate, alerts, sample.clock, NSE, library, 2), alerts


def _verdict(symbol: str, session: date, score: float) -> EncodedSetup:
    return EncodedSetup.of(
        msgspec.structs.replace(
            Setup.unevaluated(symbol, session, "x"), score=score, reason=None, footprint="12W 24/5 3T"
        )
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


async def test_a_scan_that_was_saved_on_the_page_is_followed_as_well() -> None:
    job, _ = _job(await _collected(), ScanSettings(), None, SavedScan("all", "close > 0", followed=True))
    assert (await job(context(SESSION, "scan"))).counts == {"matches": 7, "entered": 0, "left": 0}


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
        "no scan is followed: name some in [scans] follow, or save one to be followed on the page",
    )


async def test_a_session_without_verdicts_is_refused_and_never_answered_with_those_of_another() -> None:
    sample, setups = await _collected(), FakeSetupStore()
    await setups.put(SESSION, [_verdict(symbol, SESSION, 80) for symbol in SYMBOLS], [])
    evaluate = _evaluator(sample, setups)
    panel = await sample.universe_panels.current_or_new()
    asked = ScanParams(expression="score > 50")
    assert (await evaluate(panel, SESSION, asked)).count == 6
    with pytest.raises(BadInputError, match=f"score: the job screen has stored nothing of {YESTERDAY}"):
        await evaluate(panel, YESTERDAY, asked)


async def test_a_symbol_without_a_base_has_no_values_of_the_detector() -> None:
    """Its verdict is kept until the next session only: an answer must not change when it goes."""
    sample, setups = await _collected(), FakeSetupStore()
    bare = EncodedSetup.of(
        msgspec.structs.replace(Setup.unevaluated(SYMBOLS[0], SESSION, "x"), score=80.0, reason=None)
    )
    await setups.put(SESSION, [bare, _verdict(SYMBOLS[1], SESSION, 80)], [])
    panel = await sample.universe_panels.current_or_new()
    result = await _evaluator(sample, setups)(panel, SESSION, ScanParams(expression="score > 50"))
    assert [row.symbol for row in result.items] == [SYMBOLS[1]]


def _risk(symbol: str, gap: float) -> RiskScore:
    components = dict.fromkeys(("volatility", "gap", "atr", "drawdown", "volume", "trend"), 50.0) | {
        "gap": gap
    }
    return RiskScore(
        symbol=symbol, as_of=SESSION, score=40.0, band=RiskBand.MODERATE, components=components, metrics={}
    )


async def test_components_of_the_risk_score_are_those_of_the_session() -> None:
    sample, risk = await _collected(), FakeRiskStore()
    await risk.put(
        SESSION, [EncodedRiskScore.of(_risk(symbol, 10.0 * at)) for at, symbol in enumerate(SYMBOLS)]
    )
    evaluate, panel = _evaluator(sample, risk=risk), await sample.universe_panels.current_or_new()
    asked = ScanParams(expression="risk_gap >= 40 and risk < 50 and risk_trend == 50")
    assert [row.symbol for row in (await evaluate(panel, SESSION, asked)).items] == SYMBOLS[4:]
    with pytest.raises(
        BadInputError, match=f"risk, risk_gap, risk_trend: .*`vcpd jobs run risk --session {YESTERDAY}`"
    ):
        await evaluate(panel, YESTERDAY, asked)


class _RegimesOf(FakeRegimes):
    """The regime and ranks of one session."""

    def __init__(self, session: date) -> None:
        self._regimes = [regime_of(session)]
        self._ranks = [rank_of("Banks", 1, None, session), rank_of("Steel", 2, None, session)]

    async def sectors(
        self, until: date | None, level: SectorLevel = SectorLevel.SECTOR
    ) -> tuple[date | None, Sequence[SectorRank]]:
        return self._regimes[0].session, self._ranks


async def test_regime_and_sector_rank_are_those_of_the_session_or_refused() -> None:
    sample = await _collected()
    await sample.instruments.set_sectors(
        {SYMBOLS[0]: CompanySector("Banks"), SYMBOLS[1]: CompanySector("Steel")}
    )
    asked = ScanParams(expression='regime == "under_pressure" and sector_rank <= 1')
    panel = await sample.universe_panels.current_or_new()
    result = await _evaluator(sample, regimes=_RegimesOf(SESSION))(panel, SESSION, asked)
    assert [row.symbol for row in result.items] == [SYMBOLS[0]]
    assert result.items[0].clauses[1].values == {"sector_rank": 1.0}
    for regimes in (_RegimesOf(YESTERDAY), FakeRegimes(is_empty=True)):
        with pytest.raises(BadInputError, match="regime, sector_rank: the job regime has stored nothing"):
            await _evaluator(sample, regimes=regimes)(panel, SESSION, asked)


async def test_a_session_that_is_not_screened_yet_is_tried_again_later() -> None:
    """The screen may have failed and be about to be repeated."""
    job, published = _job(await _collected(), ScanSettings(saved={"best": "score > 50"}, follow=("best",)))
    with pytest.raises(RetryableError, match="scan best: score: the job screen has stored nothing"):
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
