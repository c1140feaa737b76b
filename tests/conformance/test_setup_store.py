"""SetupStore: verdicts by session, bases as they now stand."""

import msgspec
import pytest

from tests.store.test_setups import ANCHOR, FOUND, MONDAY, TUESDAY, WEDNESDAY, base_of, verdict, written
from vcpd.core.errors import PermanentError
from vcpd.domain.setups import BaseState
from vcpd.ports import SetupStore


async def test_verdicts_come_back_whole_best_score_first(setups: SetupStore) -> None:
    low, high = verdict("NSE:AAA", score=10.0), verdict("NSE:BBB", score=90.5)
    assert await setups.for_session() == (None, ())
    await setups.put(MONDAY, written([low, high]), [])
    await setups.put(MONDAY, written([low, high]), [])
    session, kept = await setups.for_session()
    assert (session, list(kept)) == (MONDAY, [high, low])
    assert await setups.for_session(TUESDAY) == (None, ())


async def test_a_session_judged_again_shows_only_the_new_verdicts(setups: SetupStore) -> None:
    await setups.put(MONDAY, written([verdict("NSE:AAA"), verdict("NSE:BBB")]), [])
    await setups.put(MONDAY, written([verdict("NSE:BBB", score=7.0)]), [])
    session, kept = await setups.for_session(MONDAY)
    assert (session, list(kept)) == (MONDAY, [verdict("NSE:BBB", score=7.0)])
    assert await setups.count(MONDAY) == 1


async def test_one_symbols_verdict_is_read_by_itself(setups: SetupStore) -> None:
    await setups.put(MONDAY, written([verdict("NSE:AAA"), verdict("NSE:BBB")]), [])
    await setups.put(TUESDAY, written([verdict("NSE:AAA", TUESDAY, score=9.0)]), [])
    assert await setups.for_symbol("NSE:AAA") == (TUESDAY, verdict("NSE:AAA", TUESDAY, score=9.0))
    assert await setups.for_symbol("NSE:BBB", MONDAY) == (MONDAY, verdict("NSE:BBB"))
    assert await setups.for_symbol("NSE:ZZZ") == (TUESDAY, None)


async def test_an_ended_base_is_active_in_its_last_session_only(setups: SetupStore) -> None:
    gone = base_of("NSE:BBB", MONDAY, FOUND, state=BaseState.FAILED)
    await setups.put(MONDAY, written([verdict("NSE:AAA")]), [base_of("NSE:AAA", MONDAY, FOUND), gone])
    assert [base.symbol for base in await setups.active_bases()] == ["NSE:AAA", "NSE:BBB"]
    await setups.put(TUESDAY, written([verdict("NSE:AAA", TUESDAY)]), [])
    assert [base.symbol for base in await setups.active_bases()] == ["NSE:AAA"]
    (ended,) = await setups.bases_of("NSE:BBB")
    assert (ended.anchor_date, ended.state) == (ANCHOR, BaseState.FAILED)


async def test_judging_an_older_session_again_does_not_set_a_base_back(setups: SetupStore) -> None:
    later = msgspec.structs.replace(base_of("NSE:AAA", WEDNESDAY, FOUND), pivot=130.0)
    await setups.put(WEDNESDAY, [], [later])
    await setups.put(MONDAY, [], [base_of("NSE:AAA", MONDAY, FOUND)])
    (base,) = await setups.bases_of("NSE:AAA")
    assert (base.last_judged, base.pivot) == (WEDNESDAY, 130.0)


async def test_an_unknown_symbol_writes_nothing(setups: SetupStore) -> None:
    with pytest.raises(PermanentError, match="unknown instruments: NSE:ZZZ"):
        await setups.put(MONDAY, written([verdict("NSE:AAA"), verdict("NSE:ZZZ")]), [])
    assert await setups.for_session() == (None, ())
