"""A panel made of the one before and of what changed since equals one made of all stored bars."""

import os
import random
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import count
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.postgres import fresh_database
from tests.store.market import FIRST_DAY, instruments_of, walk
from vcpd.core.secrets import Secret
from vcpd.domain.bars import BarSeries, BarTable
from vcpd.domain.instruments import StoredInstrument
from vcpd.domain.panel import Panel, PanelSelection
from vcpd.domain.quality_rules import QualityFlag, QualityRule
from vcpd.ports import SessionSpan
from vcpd.store import bars as bars_module
from vcpd.store import panel, panel_build, panel_patch
from vcpd.store.bars import PostgresBarStore, PostgresQuarantineStore
from vcpd.store.database import Database
from vcpd.store.instruments import PostgresInstrumentStore
from vcpd.store.panel import PostgresPanelStore
from vcpd.store.panel_files import open_panel

INDEX: Final = "NSE:INDEX"
SHARES: Final = ("NSE:AAA", "NSE:BBB", "NSE:CCC", "NSE:DDD")
N_SESSIONS: Final = 7


@pytest.fixture(autouse=True)
def few_bars_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small limits, so that few bars reach each way of merging and of refreshing."""
    monkeypatch.setattr(bars_module, "BULK_ROWS", 4)
    monkeypatch.setattr(panel, "MOST_PATCHED", 1.0)
    for module in (panel_build, panel_patch):
        monkeypatch.setattr(module, "SPARE_COLUMNS", 2)


@dataclass(slots=True)
class Market:
    """A store whose panel is refreshed in `kept`, and built of all bars where no snapshot was before."""

    database: Database
    folder: Path
    ids: list[int]
    chance: random.Random
    day: date = FIRST_DAY
    in_universe: set[int] = field(default_factory=set)
    numbers: "count[int]" = field(default_factory=count)

    @property
    def bars(self) -> PostgresBarStore:
        return PostgresBarStore(self.database)

    @property
    def selection(self) -> PanelSelection:
        return PanelSelection(INDEX, self._is_in_universe, N_SESSIONS)

    def _is_in_universe(self, instrument: StoredInstrument) -> bool:
        return instrument.id in self.in_universe

    def store_in(self, name: str) -> PostgresPanelStore:
        return PostgresPanelStore(self.database, PostgresInstrumentStore(self.database), self.folder / name)

    async def refresh(self) -> Panel:
        return open_panel(await self.store_in("kept").refresh(self.selection))

    async def build(self) -> Panel:
        return open_panel(await self.store_in(f"built-{next(self.numbers)}").refresh(self.selection))

    def history(self, first: date, n_sessions: int) -> BarSeries:
        """Bars on some of the days, final or not."""
        series = walk("", n_sessions, seed=self.chance.randrange(1 << 30), first=first)
        kept = [self.chance.random() < 0.7 for _ in range(n_sessions)]
        records = series.records[np.array(kept, np.bool_)]
        records["provisional"] = [self.chance.random() < 0.3 for _ in records]
        return BarSeries("", records)

    async def trade(self) -> None:
        """The next session of some instruments, sometimes a few days later, sometimes of several days."""
        n_days = self.chance.choice([1, 1, 1, 1, 3])
        self.day += timedelta(days=self.chance.choice([1, 1, 1, 4]))
        await self.bars.merge(BarTable.gather((key, self.history(self.day, n_days)) for key in self.ids), {})
        self.day += timedelta(days=n_days - 1)

    async def correct(self) -> None:
        """Bars of one instrument around a day in the past: changed ones, new ones, some on no session."""
        first = self.day - timedelta(days=self.chance.randrange(12))
        await self.bars.merge(BarTable.gather([(self.chance.choice(self.ids), self.history(first, 2))]), {})

    async def restate(self) -> None:
        """Another history of one instrument, as after a split; bars that it lacks are deleted."""
        span = SessionSpan(self.day - timedelta(days=self.chance.randrange(15)), self.day)
        series = self.history(span.first, (span.last - span.first).days + 1)
        await self.bars.replace(self.chance.choice(self.ids), series, span)

    async def list_or_delist(self) -> None:
        """An instrument enters or leaves the universe; the index can be in it as well."""
        self.in_universe ^= {self.chance.choice(self.ids)}

    async def rename(self) -> None:
        symbol = f"NSE:{self.chance.choice('AZ')}{next(self.numbers)}"
        await self.database.execute(
            "UPDATE instruments SET symbol = $2, tick_size = $3 WHERE id = $1",
            self.chance.choice(self.ids),
            symbol,
            self.chance.random(),
        )

    async def flag(self) -> None:
        flag = QualityFlag("NSE:BBB", QualityRule.JUMP_BEYOND_BAND, self.day, "half", excludes=True)
        chosen = [flag] if self.chance.random() < 0.5 else []
        await PostgresQuarantineStore(self.database).set_flags(["NSE:BBB"], chosen)
        if await self.store_in("kept").current() is not None:
            await self.store_in("kept").update_exclusions()

    async def change_unnoted(self) -> None:
        """As an older release or a user of the database does."""
        await self.database.execute(
            "UPDATE bars SET volume = volume + 1 WHERE instrument_id = $1", self.chance.choice(self.ids)
        )

    async def delete_unnoted(self) -> None:
        await self.database.execute("DELETE FROM bars WHERE session > $1", self.day - timedelta(days=1))

    async def nothing(self) -> None:
        """A refresh without a change."""


STEPS: Final = (
    Market.trade,
    Market.correct,
    Market.restate,
    Market.list_or_delist,
    Market.rename,
    Market.flag,
    Market.change_unnoted,
    Market.delete_unnoted,
    Market.nothing,
)


async def market(database: Database, folder: Path, seed: int) -> Market:
    ids = await instruments_of(database, *SHARES, INDEX)
    return Market(database, folder, ids, random.Random(seed), in_universe=set(ids[:-1]))


def contents(shown: Panel) -> tuple[object, ...]:
    """Everything that a reader of the snapshot sees, to the last bit."""
    arrays = (shown.sessions, shown.values, shown.provisional, shown.index_close, shown.tick_size)
    return shown.symbols, dict(shown.exclusions), *((array.shape, array.tobytes()) for array in arrays)


STEP_LISTS: Final = st.lists(
    st.tuples(st.one_of(st.just(Market.trade), st.sampled_from(STEPS)), st.booleans()),
    min_size=3,
    max_size=10,
)


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEP_LISTS, seed=st.integers(0, 1 << 30))
async def test_any_changes_give_the_panel_of_all_bars(
    postgres_server: Secret,
    migrated_template: str,
    steps: list[tuple[Callable[[Market], Awaitable[None]], bool]],
    seed: int,
) -> None:
    """Whatever happened between two refreshes, and whatever the snapshot before was; readers keep theirs."""
    with tempfile.TemporaryDirectory() as name:
        async with fresh_database(postgres_server, migrated_template) as database:
            changing = await market(database, Path(name), seed)
            await changing.trade()
            earlier = await changing.refresh()
            seen = contents(earlier)
            for step, refreshes in [*steps, (Market.nothing, True)]:
                await step(changing)
                if refreshes:
                    now = await changing.refresh()
                    assert contents(earlier) == seen
                    earlier, seen = now, contents(now)
                    assert seen == contents(await changing.build())


async def test_a_new_session_is_written_beside_the_others(database: Database, tmp_path: Path) -> None:
    """The files stay the same while a column is spare, then they are copied; the window moves on."""
    changing = await market(database, tmp_path, seed=1)
    store = changing.store_in("kept")
    await trade_all(changing, N_SESSIONS)
    versions = [await store.refresh(changing.selection)]
    for _ in range(4):
        await trade_all(changing, 1)
        versions.append(await store.refresh(changing.selection))
        assert contents(open_panel(versions[-1])) == contents(await changing.build())
    inodes = [(Path(version.path) / "bars_by_symbol.npy").stat().st_ino for version in versions[-2:]]
    assert inodes[0] == inodes[1]
    assert [version.n_sessions for version in versions] == [N_SESSIONS] * 5


async def trade_all(changing: Market, n_sessions: int) -> None:
    """The same number of further sessions for every instrument."""
    first = changing.day + timedelta(days=1)
    series = [walk("", n_sessions, seed=key, first=first) for key in changing.ids]
    await changing.bars.merge(BarTable.gather(zip(changing.ids, series, strict=True)), {})
    changing.day += timedelta(days=n_sessions)


async def test_all_bars_are_read_where_the_snapshot_is_of_another_store(
    database: Database, tmp_path: Path
) -> None:
    """A restored backup has other changes under the same numbers."""
    changing = await market(database, tmp_path, seed=2)
    await trade_all(changing, 5)
    await changing.refresh()
    await trade_all(changing, 1)
    await changing.refresh()
    await database.execute("DELETE FROM bars WHERE session = $1", changing.day)
    await database.execute("DELETE FROM bar_changes WHERE instrument_ids IS NULL")
    await database.execute("UPDATE bar_changes SET token = DEFAULT")
    assert contents(await changing.refresh()) == contents(await changing.build())


async def test_a_kept_panel_that_cannot_be_refreshed_is_made_anew(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same snapshot would fail at each refresh, for good."""
    changing = await market(database, tmp_path, seed=5)
    await trade_all(changing, 5)
    await changing.refresh()
    await trade_all(changing, 1)

    def fail(_spec: object) -> None:
        raise IndexError("a row that the files do not hold")

    monkeypatch.setattr(panel, "patch_panel_files", fail)
    assert contents(await changing.refresh()) == contents(await changing.build())


@pytest.mark.parametrize("name", ["bars_by_symbol.npy", "provisional_by_session.npy"])
async def test_a_kept_panel_that_lacks_a_file_is_made_anew(
    database: Database, tmp_path: Path, name: str
) -> None:
    changing = await market(database, tmp_path, seed=5)
    await trade_all(changing, 5)
    kept = await changing.store_in("kept").refresh(changing.selection)
    (Path(kept.path) / name).unlink()
    await trade_all(changing, 1)
    assert contents(await changing.refresh()) == contents(await changing.build())


async def test_a_snapshot_older_than_the_kept_changes_is_made_anew(
    database: Database, tmp_path: Path
) -> None:
    """Of changes that are about to be deleted some may be gone: what they changed is not known."""
    changing = await market(database, tmp_path, seed=6)
    await trade_all(changing, 5)
    await changing.refresh()
    await changing.change_unnoted()
    newest = await database.fetch_value("SELECT max(number) FROM bar_changes")
    await database.execute("ALTER TABLE bar_changes DISABLE TRIGGER bar_changes_are_limited")
    await database.execute("DELETE FROM bar_changes WHERE number = $1", newest)
    await database.execute(
        "INSERT INTO bar_changes (number, first, instrument_ids) OVERRIDING SYSTEM VALUE "
        "VALUES ($1, 'infinity', '{}')",
        newest + 10_000,
    )
    assert contents(await changing.refresh()) == contents(await changing.build())


async def test_a_change_too_large_for_memory_is_read_by_files(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The window may be so long that a small part of the panel is many bars."""
    changing = await market(database, tmp_path, seed=7)
    await trade_all(changing, 5)
    await changing.refresh()
    monkeypatch.setattr(panel, "MOST_PATCHED_BARS", 2 * len(changing.ids))
    for n_sessions, is_held in ((1, True), (4, False)):
        await trade_all(changing, n_sessions)
        held: list[object] = []
        with monkeypatch.context() as patching:
            patching.setattr(panel, "patch_panel_files", lambda spec, held=held: held.append(spec))
            assert contents(await changing.refresh()) == contents(await changing.build())
        assert bool(held) == is_held


async def test_a_rebuilt_panel_says_what_the_kept_one_held_otherwise(
    database: Database, tmp_path: Path
) -> None:
    changing = await market(database, tmp_path, seed=3)
    store = changing.store_in("kept")
    await trade_all(changing, 5)
    kept = await store.refresh(changing.selection)
    await trade_all(changing, 1)
    assert (await store.rebuild(changing.selection)).difference == ""
    kept = await store.refresh(changing.selection)
    path = Path(kept.path) / "bars_by_symbol.npy"
    values = np.load(path)
    values[1, 2, 3] += 1
    np.save(path, values)
    rebuilt = await store.rebuild(changing.selection)
    assert rebuilt.difference == "1 symbols' bars were kept otherwise than stored, first NSE:BBB"
    assert contents(open_panel(rebuilt.reference)) == contents(await changing.build())


class Killed(BaseException):
    """As if the process ended here."""


def kill_at(patching: pytest.MonkeyPatch, step: int) -> None:
    """Raise before the given change of the disk, and from then on tidy nothing up."""
    places = ((Path, "hardlink_to"), (os, "pwrite"), (np, "save"), (Path, "write_bytes"), (Path, "rename"))
    changes = count(1)

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def change(*arguments: Any) -> Any:
            if next(changes) == step:
                patching.setattr(shutil, "rmtree", lambda *_, **__: None)
                raise Killed
            return function(*arguments)

        return change

    for place, name in places:
        patching.setattr(place, name, counted(getattr(place, name)))


async def test_a_kill_at_any_step_of_a_refresh_leaves_the_old_panel_and_a_next_one(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between any two changes of the disk: the panel before is whole, and the next refresh is right."""
    monkeypatch.setattr(panel_build, "SPARE_COLUMNS", 40)
    changing = await market(database, tmp_path, seed=4)
    changing.in_universe = {changing.ids[0]}
    await trade_all(changing, 5)
    before = await changing.refresh()
    for step in range(1, 20):
        seen = contents(before)
        await trade_all(changing, 1)
        with monkeypatch.context() as patching:
            kill_at(patching, step)
            try:
                before = await changing.refresh()
            except Killed:
                assert await changing.store_in("kept").current() is not None
            else:
                break
        assert contents(before) == seen
        before = await changing.refresh()
        assert contents(before) == contents(await changing.build())
    assert step == len(STEPS_OF_A_REFRESH) + 1


STEPS_OF_A_REFRESH: Final = (
    *("bars_by_symbol.npy", "provisional_by_session.npy"),  # linked
    *("bar", "provisional"),  # the cells of the only symbol
    *("index_close.npy", "panel.json", "rename"),
)
