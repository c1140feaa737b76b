"""The bar store keeps what it is given, and touches no row that has not changed."""

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.postgres import fresh_database
from tests.store.market import instruments_of, walk
from vcpd.core.errors import PermanentError
from vcpd.core.secrets import Secret
from vcpd.domain.bars import BarSeries, BarTable
from vcpd.ports import Coverage, MergeCounts, SessionSpan
from vcpd.store.bars import PostgresBarStore
from vcpd.store.database import Database

SPAN = SessionSpan(date(2024, 1, 1), date(2024, 12, 31))


async def test_bars_come_back_as_they_went_in(database: Database) -> None:
    """Order, prices to the last bit, unknown volume and the provisional mark survive."""
    (key,) = await instruments_of(database, "NSE:AAA")
    series = walk("NSE:AAA", 300, seed=1)
    series.records["volume"][5] = np.nan
    series.records["provisional"][-1] = True
    store = PostgresBarStore(database)
    counts = await store.merge(BarTable.gather([(key, series)]), {key: SPAN})
    back = await store.series(key)
    assert counts == MergeCounts(inserted=300)
    assert back.symbol == "NSE:AAA"
    assert same_records(back, series)


async def test_merging_the_same_again_rewrites_no_row(database: Database) -> None:
    """The physical place and writing transaction of each row stay the same."""
    keys = await instruments_of(database, "NSE:AAA", "NSE:BBB")
    table = BarTable.gather((key, walk(f"S{key}", 200, seed=key)) for key in keys)
    store = PostgresBarStore(database)
    await store.merge(table, {})
    before = await physical_rows(database)
    assert await store.merge(table, {}) == MergeCounts(unchanged=400)
    assert await physical_rows(database) == before


async def test_only_changed_and_new_rows_are_written(database: Database) -> None:
    (key,) = await instruments_of(database, "NSE:AAA")
    series = walk("NSE:AAA", 100, seed=2)
    store = PostgresBarStore(database)
    await store.merge(BarTable.gather([(key, series.until(series.sessions[89].item()))]), {})
    changed = BarSeries("NSE:AAA", series.records.copy())
    changed.records["close"][10] += 0.05
    counts = await store.merge(BarTable.gather([(key, changed)]), {})
    assert counts == MergeCounts(inserted=10, updated=1, unchanged=89)
    assert same_records(await store.series(key), changed)


async def test_a_final_bar_is_never_replaced_by_a_provisional_one(database: Database) -> None:
    (key,) = await instruments_of(database, "NSE:AAA")
    final = walk("NSE:AAA", 10, seed=3)
    rumour = BarSeries("NSE:AAA", final.records.copy())
    rumour.records["close"] += 1.0
    rumour.records["provisional"] = True
    store = PostgresBarStore(database)
    await store.merge(BarTable.gather([(key, final)]), {})
    counts = await store.merge(BarTable.gather([(key, rumour)]), {})
    assert counts == MergeCounts(unchanged=10)
    assert same_records(await store.series(key), final)


async def test_a_provisional_bar_gives_way_to_newer_ones_and_to_the_final_one(database: Database) -> None:
    (key,) = await instruments_of(database, "NSE:AAA")
    store = PostgresBarStore(database)
    series = walk("NSE:AAA", 1, seed=4)
    for provisional, close in ((True, 10.0), (True, 11.0), (False, 11.0)):
        series.records["provisional"], series.records["close"] = provisional, close
        counts = await store.merge(BarTable.gather([(key, series)]), {})
        assert counts.inserted + counts.updated == 1
        assert same_records(await store.series(key), series)


async def test_coverage_states_asked_spans_and_open_ends(database: Database) -> None:
    """Asked spans widen and never shrink; an instrument without bars is covered too."""
    full, empty = await instruments_of(database, "NSE:AAA", "NSE:BBB")
    series = walk("NSE:AAA", 20, seed=5)
    series.records["provisional"][-2:] = True
    store = PostgresBarStore(database)
    await store.merge(BarTable.gather([(full, series)]), {full: SPAN})
    await store.merge(BarTable.gather([]), {full: SessionSpan(date(2024, 3, 1), date(2025, 1, 5))})
    sessions = series.sessions.tolist()
    coverage = await store.coverage()
    assert coverage[full] == Coverage(
        SessionSpan(date(2024, 1, 1), date(2025, 1, 5)), last_bar=sessions[-1], first_provisional=sessions[-2]
    )
    assert coverage[empty] == Coverage(None, None, None)


async def test_a_restated_history_takes_the_place_of_the_old_one(database: Database) -> None:
    """Bars that are gone go; bars before and after the asked span stay."""
    (key,) = await instruments_of(database, "NSE:AAA")
    old = walk("NSE:AAA", 50, seed=6)
    store = PostgresBarStore(database)
    await store.merge(BarTable.gather([(key, old)]), {key: SPAN})
    new = BarSeries("NSE:AAA", np.delete(old.records[10:45], 3))
    new.records["close"] /= 2
    sessions = old.sessions.tolist()
    counts = await store.replace(key, new, SessionSpan(sessions[10], sessions[44]))
    kept = (old.records[:10], new.records, old.records[45:])
    expected = BarSeries("NSE:AAA", np.concatenate(kept))
    assert counts == MergeCounts(updated=34)
    assert same_records(await store.series(key), expected)
    assert (await store.coverage())[key].requested == SPAN


async def test_a_failed_merge_leaves_everything_as_it_was(database: Database) -> None:
    """One session twice, or an unknown instrument: an error of ours, no bar, no asked span."""
    (key,) = await instruments_of(database, "NSE:AAA")
    store = PostgresBarStore(database)
    series = walk("NSE:AAA", 5, seed=7)
    twice = BarSeries("NSE:AAA", np.concatenate([series.records, series.records[:1]]))
    with pytest.raises(PermanentError, match="duplicate key"):
        await store.merge(BarTable.gather([(key, twice)]), {key: SPAN})
    with pytest.raises(PermanentError, match="unknown instruments: 999"):
        await store.merge(BarTable.gather([(key, series), (999, series)]), {key: SPAN})
    assert len(await store.series(key)) == 0
    assert (await store.coverage())[key].requested is None


async def test_an_unknown_instrument_has_no_series(database: Database) -> None:
    with pytest.raises(KeyError):
        await PostgresBarStore(database).series(12)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.lists(
            st.tuples(st.integers(0, 1), st.integers(0, 5), st.sampled_from([1.0, 2.0]), st.booleans()),
            unique_by=lambda step: step[:2],
            max_size=8,
        ),
        min_size=1,
        max_size=4,
    )
)
async def test_merges_behave_like_a_dictionary(
    postgres_server: Secret, migrated_template: str, steps: list[list[tuple[int, int, float, bool]]]
) -> None:
    """Any sequence of merges leaves what a dictionary with the same two rules would hold."""
    async with fresh_database(postgres_server, migrated_template) as database:
        keys = await instruments_of(database, "NSE:AAA", "NSE:BBB")
        store, model = PostgresBarStore(database), dict[tuple[int, int], tuple[float, bool]]()
        for step in steps:
            await store.merge(table_of(step, keys), {})
            for which, day, close, provisional in step:
                kept = model.get((which, day))
                if kept is None or kept[1] or not provisional:
                    model[which, day] = (close, provisional)
        stored = {
            (which, (session - date(2024, 1, 1)).days): (close, provisional)
            for which, key in enumerate(keys)
            for session, _, _, _, close, _, provisional in (await store.series(key)).records.tolist()
        }
        assert stored == model


def table_of(step: list[tuple[int, int, float, bool]], keys: list[int]) -> BarTable:
    parts = []
    for which, day, close, provisional in step:
        sessions = np.array([date(2024, 1, 1) + timedelta(days=day)], "M8[D]")
        price = np.array([close])
        series = BarSeries.from_columns("S", sessions, (price, price, price, price), price, provisional)
        parts.append((keys[which], series))
    return BarTable.gather(parts)


def same_records(left: BarSeries, right: BarSeries) -> bool:
    return left.records.tobytes() == right.records.tobytes()


async def physical_rows(database: Database) -> list[tuple[object, ...]]:
    rows = await database.fetch(
        "SELECT instrument_id, session, ctid::text, xmin::text FROM bars ORDER BY instrument_id, session"
    )
    return [tuple(row) for row in rows]


async def test_the_newest_session_is_that_of_any_instrument(database: Database) -> None:
    store = PostgresBarStore(database)
    assert await store.newest_session() is None
    first, second = await instruments_of(database, "NSE:AAA", "NSE:BBB")
    series = walk("NSE:AAA", 5, seed=1), walk("NSE:BBB", 9, seed=2)
    await store.merge(BarTable.gather(zip((first, second), series, strict=True)), {})
    assert await store.newest_session() == max(entry.sessions[-1].item() for entry in series)
