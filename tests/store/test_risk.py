"""Risk scores are stored by session and read by session or symbol."""

import math
from datetime import date, timedelta

import pytest

from tests.store.market import instruments_of
from vcpd.core.errors import PermanentError
from vcpd.domain.instruments import Instrument
from vcpd.domain.risk import EncodedRiskScore, RiskBand, RiskScore, RiskSummary
from vcpd.ports import RiskStore
from vcpd.store.database import Database
from vcpd.store.instruments import PostgresInstrumentStore
from vcpd.store.screen_results import PostgresRiskStore

MONDAY = date(2024, 3, 4)
TUESDAY = date(2024, 3, 5)
WEDNESDAY = date(2024, 3, 6)


def risk_of(symbol: str, as_of: date = MONDAY, score: float | None = 42.5) -> RiskScore:
    return RiskScore(
        symbol=symbol,
        as_of=as_of,
        score=score,
        band=None if score is None else RiskBand.ELEVATED,
        components={"volatility": 61.0},
        metrics={"atr_pct": 3.25, "beta": None, "worst_day": "2024-01-17"},
        reason="too short" if score is None else None,
    )


def written(*scores: RiskScore) -> list[EncodedRiskScore]:
    return [EncodedRiskScore.of(score) for score in scores]


async def store_of(database: Database, *symbols: str) -> RiskStore:
    await instruments_of(database, *symbols)
    return PostgresRiskStore(database)


async def test_scores_come_back_riskiest_first_unscored_last(database: Database) -> None:
    store = await store_of(database, "NSE:AAA", "NSE:BBB", "NSE:CCC")
    scores = [risk_of("NSE:AAA", score=None), risk_of("NSE:BBB", score=1.0), risk_of("NSE:CCC")]
    assert await store.for_session() == (None, ())
    await store.put(MONDAY, written(*scores))
    await store.put(MONDAY, written(*scores))
    assert await store.for_session() == (MONDAY, [scores[2], scores[1], scores[0]])
    assert await store.for_session(TUESDAY) == (None, ())
    assert await store.summaries(MONDAY) == {
        score.symbol: RiskSummary(score.score, score.band) for score in scores
    }


async def test_a_session_scored_again_shows_only_the_new_scores(database: Database) -> None:
    store = await store_of(database, "NSE:AAA", "NSE:BBB")
    await store.put(MONDAY, written(risk_of("NSE:AAA"), risk_of("NSE:BBB")))
    await store.put(MONDAY, written(risk_of("NSE:BBB", score=7.0)))
    assert await store.for_session() == (MONDAY, [risk_of("NSE:BBB", score=7.0)])


async def test_a_symbols_scores_run_through_time_and_renames(database: Database) -> None:
    store = await store_of(database, "NSE:OLD")
    await store.put(TUESDAY, written(risk_of("NSE:OLD", TUESDAY, 50.0)))
    await store.put(MONDAY, written(risk_of("NSE:OLD", MONDAY, 40.0)))
    await PostgresInstrumentStore(database).merge([Instrument("NSE:NEW", 1000)], TUESDAY)
    assert [(score.symbol, score.as_of, score.score) for score in await store.for_symbol("NSE:NEW")] == [
        ("NSE:NEW", TUESDAY, 50.0),
        ("NSE:NEW", MONDAY, 40.0),
    ]
    assert list(await store.for_symbol("NSE:OLD")) == []


async def test_while_a_session_runs_the_evening_before_states_the_risk(database: Database) -> None:
    """Its verdicts are there at noon, its scores only at night; a later score is not looked at."""
    await instruments_of(database, "NSE:AAA", "NSE:BBB")
    store = PostgresRiskStore(database)
    await store.put(MONDAY, written(risk_of("NSE:AAA"), risk_of("NSE:BBB", score=7.0)))
    await store.put(WEDNESDAY, written(risk_of("NSE:AAA", WEDNESDAY, 9.0)))
    wanted = {
        *(("NSE:AAA", TUESDAY), ("NSE:AAA", WEDNESDAY), ("NSE:BBB", WEDNESDAY)),
        *(("NSE:AAA", MONDAY - timedelta(1)), ("NSE:ZZZ", WEDNESDAY)),
    }
    assert await store.latest_until(wanted) == {
        ("NSE:AAA", TUESDAY): risk_of("NSE:AAA"),
        ("NSE:AAA", WEDNESDAY): risk_of("NSE:AAA", WEDNESDAY, 9.0),
        ("NSE:BBB", WEDNESDAY): risk_of("NSE:BBB", score=7.0),
    }
    assert await store.latest_until(()) == {}


async def test_an_unknown_component_survives(database: Database) -> None:
    store = await store_of(database, "NSE:AAA")
    odd = RiskScore(
        symbol="NSE:AAA", as_of=MONDAY, score=None, band=None, components={"beta": math.nan}, metrics={}
    )
    await store.put(MONDAY, written(odd))
    _, (back,) = await store.for_session()
    assert back.score is None
    assert math.isnan(back.components["beta"])


async def test_an_unknown_symbol_writes_nothing(database: Database) -> None:
    store = await store_of(database, "NSE:AAA")
    with pytest.raises(PermanentError, match="NSE:ZZZ"):
        await store.put(MONDAY, written(risk_of("NSE:AAA"), risk_of("NSE:ZZZ")))
    assert await store.for_session() == (None, ())


async def test_a_whole_market_is_written_in_several_statements(database: Database) -> None:
    names = [f"NSE:S{number}" for number in range(601)]
    await instruments_of(database, *names)
    store = PostgresRiskStore(database)
    await store.put(MONDAY, written(*(risk_of(name, score=float(n) / 10) for n, name in enumerate(names))))
    _, kept = await store.for_session()
    assert [score.symbol for score in kept] == names[::-1]
