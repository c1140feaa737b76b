"""RiskStore: scores are stored by session and read by session or symbol."""

from datetime import date

import pytest

from vcpd.core.errors import PermanentError
from vcpd.domain.risk import EncodedRiskScore, RiskBand, RiskScore, RiskSummary
from vcpd.ports import RiskStore

MONDAY = date(2024, 3, 4)
TUESDAY = date(2024, 3, 5)


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


async def test_scores_come_back_riskiest_first_unscored_last(risk: RiskStore) -> None:
    scores = [risk_of("NSE:AAA", score=None), risk_of("NSE:BBB", score=1.0), risk_of("NSE:CCC")]
    assert await risk.for_session() == (None, ())
    await risk.put(MONDAY, written(*scores))
    await risk.put(MONDAY, written(*scores))
    assert await risk.for_session() == (MONDAY, [scores[2], scores[1], scores[0]])
    assert await risk.for_session(TUESDAY) == (None, ())
    assert await risk.summaries(MONDAY) == {
        score.symbol: RiskSummary(score.score, score.band) for score in scores
    }


async def test_a_session_scored_again_shows_only_the_new_scores(risk: RiskStore) -> None:
    await risk.put(MONDAY, written(risk_of("NSE:AAA"), risk_of("NSE:BBB")))
    await risk.put(MONDAY, written(risk_of("NSE:BBB", score=7.0)))
    assert await risk.for_session() == (MONDAY, [risk_of("NSE:BBB", score=7.0)])


async def test_a_symbols_scores_come_newest_first(risk: RiskStore) -> None:
    await risk.put(TUESDAY, written(risk_of("NSE:AAA", TUESDAY, 50.0)))
    await risk.put(MONDAY, written(risk_of("NSE:AAA", MONDAY, 40.0)))
    assert [(score.as_of, score.score) for score in await risk.for_symbol("NSE:AAA")] == [
        (TUESDAY, 50.0),
        (MONDAY, 40.0),
    ]
    assert list(await risk.for_symbol("NSE:ZZZ")) == []
    assert (await risk.for_session())[0] == TUESDAY


async def test_an_unknown_symbol_writes_nothing(risk: RiskStore) -> None:
    with pytest.raises(PermanentError, match="NSE:ZZZ"):
        await risk.put(MONDAY, written(risk_of("NSE:AAA"), risk_of("NSE:ZZZ")))
    assert await risk.for_session() == (None, ())
