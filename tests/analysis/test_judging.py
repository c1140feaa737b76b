"""What travels between the daemon and its workers comes out as it went in."""

import math
import pickle
from datetime import date

import msgspec

from vcpd.analysis.judging import Judged, Judging, Records, Verdicts
from vcpd.domain.setups import Base, EventKind, Setup, SetupEvent, State, Verdict

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
        state=State.NEAR_PIVOT,
        setup=Setup.unjudged(symbol, DAY, "no bar"),
        events=(SetupEvent(EventKind.FOUND, DAY, 101.0),),
    )


def test_records_give_each_symbol_its_own_bases() -> None:
    bases = [base_of("B", date(2023, 5, 1)), base_of("A", DAY), base_of("B", date(2024, 1, 2))]
    judging: Judging = pickle.loads(pickle.dumps(Judging(as_of=DAY, followed=Records.of(bases))))
    assert judging.followed.on("A") == (bases[1],)
    assert judging.followed.on("B") == (bases[0], bases[2])
    assert judging.followed.on("C") == ()


def test_what_a_worker_answers_survives_the_way() -> None:
    setup = msgspec.structs.replace(Setup.unjudged("A", DAY, "no bar"), components={"tightness": math.nan})
    judged = Judged([setup], [base_of("A", DAY)])
    assert pickle.loads(pickle.dumps(judged)).bases == judged.bases
    verdicts: Verdicts = pickle.loads(pickle.dumps(Verdicts.of(judged)))
    assert verdicts == Verdicts([Verdict.of(setup)], judged.bases)
    (verdict,) = verdicts.verdicts
    assert not verdict.is_judged
    assert not verdict.has_base
    assert msgspec.json.decode(verdict.text)["components"] == {"tightness": None}
