"""What travels between the daemon and its workers comes out as it went in."""

import math
import pickle
from datetime import date

import msgspec

from vcpd.analysis.tasks import EncodedScreenResult, ScreenParams, ScreenResult
from vcpd.analysis.thresholds import Thresholds
from vcpd.domain.panel import build_panel
from vcpd.domain.setups import Base, BaseState, EncodedSetup, EventKind, RecordedBases, Setup, SetupEvent

DAY = date(2024, 3, 4)


def base_of(symbol: str, anchor_date: date) -> Base:
    return Base(
        symbol=symbol,
        anchor_date=anchor_date,
        found_on=DAY,
        last_judged=DAY,
        pivot=118.35,
        stop=110.0,
        footprint="20W 25/8 3T",
        state=BaseState.NEAR_PIVOT,
        setup=Setup.unevaluated(symbol, DAY, "no bar"),
        events=(SetupEvent(EventKind.FOUND, DAY, 101.0),),
    )


def test_records_give_each_symbol_its_own_bases() -> None:
    bases = [base_of("B", date(2023, 5, 1)), base_of("A", DAY), base_of("B", date(2024, 1, 2))]
    judging: ScreenParams = pickle.loads(
        pickle.dumps(ScreenParams(as_of=DAY, recorded=RecordedBases.of(bases)))
    )
    assert judging.recorded.for_symbol("A") == (bases[1],)
    assert judging.recorded.for_symbol("B") == (bases[0], bases[2])
    assert judging.recorded.for_symbol("C") == ()


def test_what_a_worker_answers_survives_the_way() -> None:
    setup = msgspec.structs.replace(Setup.unevaluated("A", DAY, "no bar"), components={"tightness": math.nan})
    judged = ScreenResult([setup], [base_of("A", DAY)])
    assert pickle.loads(pickle.dumps(judged)).bases == judged.bases
    written = EncodedScreenResult.of(judged, build_panel([]), Thresholds())
    verdicts: EncodedScreenResult = pickle.loads(pickle.dumps(written))
    assert verdicts == EncodedScreenResult([EncodedSetup.of(setup)], judged.bases)
    (verdict,) = verdicts.verdicts
    assert not verdict.is_judged
    assert not verdict.has_base
    assert msgspec.json.decode(verdict.text)["components"] == {"tightness": None}
