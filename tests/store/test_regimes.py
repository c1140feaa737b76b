"""Regimes and sector ranks are stored by session, written again without a trace, and read newest last."""

from datetime import date, timedelta

import msgspec
import pytest

from tests.fakes.regimes import rank_of, regime_of
from tests.store.market import instruments_of
from tests.store.test_setups import verdict, written
from vcpd.domain.market_regime import EncodedRegime, MarketTerm, Quadrant, SectorLevel, SectorRank
from vcpd.domain.setups import Base, BaseState, EventKind, SetupEvent
from vcpd.store.database import Database
from vcpd.store.regimes import PostgresRegimeStore
from vcpd.store.screen_results import PostgresSetupStore

MONDAY = date(2024, 3, 4)


def _encoded(
    session: date, term: MarketTerm = MarketTerm.CORRECTION, ranks: list[SectorRank] | None = None
) -> EncodedRegime:
    return EncodedRegime(
        session=session,
        term=term,
        text=msgspec.json.encode(regime_of(session, term)).decode(),
        sectors=msgspec.json.encode(ranks or []).decode(),
    )


async def test_regimes_come_back_oldest_first_and_can_be_written_again(database: Database) -> None:
    store = PostgresRegimeStore(database)
    assert await store.regimes(None, 5) == []
    assert await store.last_before(MONDAY) is None
    days = [MONDAY + timedelta(n) for n in range(230)]  # more than one statement takes
    await store.put([_encoded(day) for day in days], 20)
    await store.put([_encoded(days[-1], MarketTerm.CONFIRMED_UPTREND)], 20)
    found = await store.regimes(None, 3)
    assert [regime.session for regime in found] == days[-3:]
    assert [regime.term for regime in found][-1] is MarketTerm.CONFIRMED_UPTREND
    assert found[0] == regime_of(days[-3], MarketTerm.CORRECTION)
    assert [regime.session for regime in await store.regimes(days[1], 9)] == days[:2]
    assert await store.last_before(days[7]) == days[6]
    texts = await store.texts_until(days[6], 2)
    assert [msgspec.json.decode(text)["session"] for text in texts] == [str(days[5]), str(days[6])]


@pytest.mark.parametrize("is_regime_first", [True, False])
async def test_the_setups_that_worked_and_failed_belong_to_the_last_session(
    database: Database, *, is_regime_first: bool
) -> None:
    """Whichever of regime and screen is written last counts them."""
    await instruments_of(database, "NSE:A", "NSE:B", "NSE:C")
    setups, store = PostgresSetupStore(database), PostgresRegimeStore(database)
    fates = {"NSE:A": EventKind.EXTENDED, "NSE:B": EventKind.FAILED, "NSE:C": EventKind.NEAR_PIVOT}
    bases = [
        Base(
            symbol=symbol,
            anchor_date=date(2024, 1, 2),
            found_on=date(2024, 2, 1),
            last_judged=MONDAY,
            pivot=100.0,
            stop=92.0,
            footprint="9W 20/5 3T",
            state=BaseState.FORMING,
            events=(SetupEvent(kind=kind, session=MONDAY, price=101.0),),
        )
        for symbol, kind in fates.items()
    ]
    regimes = [_encoded(MONDAY - timedelta(3)), _encoded(MONDAY)]
    if is_regime_first:
        await store.put(regimes, 20)
        assert await _counts(store) == [(None, None), (None, None)]  # unknown until the session is screened
    await setups.put(MONDAY, written([verdict(symbol) for symbol in fates]), bases)
    if not is_regime_first:
        await store.put(regimes, 20)
    assert await _counts(store) == [(None, None), (1, 1)]


async def _counts(store: PostgresRegimeStore) -> list[tuple[int | None, int | None]]:
    return [(regime.setups_worked, regime.setups_failed) for regime in await store.regimes(None, 2)]


async def test_the_newest_ranks_are_given_with_their_history(database: Database) -> None:
    store, tuesday = PostgresRegimeStore(database), MONDAY + timedelta(1)
    assert await store.sectors(None) == (None, ())
    ranks = [rank_of("Banks", 1, Quadrant.LEADING), rank_of("Few", None, None)]
    industry = msgspec.structs.replace(rank_of("Private Banks", 2, None), level=SectorLevel.INDUSTRY)
    await store.put(
        [
            _encoded(MONDAY, ranks=ranks[:1]),
            _encoded(tuesday, ranks=[*ranks, industry]),
            _encoded(tuesday + timedelta(1)),
        ],
        20,
    )
    assert await store.sectors(None) == (tuesday, ranks)
    assert await store.sectors(MONDAY) == (MONDAY, ranks[:1])
    assert await store.sector_history(tuesday, 9) == {
        "Banks": {MONDAY: 1, tuesday: 1},
        "Few": {tuesday: None},
    }
    assert await store.sectors(None, SectorLevel.INDUSTRY) == (tuesday, [industry])
    assert await store.sector_history(tuesday, 9, SectorLevel.INDUSTRY) == {"Private Banks": {tuesday: 2}}
