"""The panel shows what the store holds, and is whole whenever somebody looks."""

import asyncio
import errno
import subprocess
import sys
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from tests.store.market import FIRST_DAY, instruments_of, walk
from vcpd.core.errors import RetryableError, UnavailableError
from vcpd.domain.bars import BarSeries, BarTable
from vcpd.domain.instruments import Instrument
from vcpd.domain.panel import Panel, PanelSelection, build_panel
from vcpd.domain.quality_rules import QualityFlag, QualityRule
from vcpd.store.bars import PostgresBarStore, PostgresQuarantineStore
from vcpd.store.database import Database
from vcpd.store.instruments import PostgresInstrumentStore
from vcpd.store.panel import PostgresPanelStore
from vcpd.store.panel_files import PanelFiles, open_panel

INDEX = "NSE:NIFTY 50"
SELECTION = PanelSelection(INDEX, n_sessions=1300)


def panel_store(database: Database, folder: Path) -> PostgresPanelStore:
    instruments = PostgresInstrumentStore(database)
    return PostgresPanelStore(database, instruments, folder)


async def three_shares_and_an_index(database: Database) -> list[BarSeries]:
    """BBB is young, CCC has a hole and starts before 2000, the index trades on all days."""
    names = ("NSE:AAA", "NSE:BBB", "NSE:CCC", "NSE:DDD")
    listed = [Instrument(name, place, tick_size=0.05 * (place + 1)) for place, name in enumerate(names)]
    await PostgresInstrumentStore(database).merge(
        [*listed, Instrument(INDEX, 9, segment="INDICES")], FIRST_DAY
    )
    ids = {instrument.symbol: instrument.id for instrument in await PostgresInstrumentStore(database).all()}
    series = [
        walk("NSE:AAA", 40, seed=1, first=date(1999, 12, 10)),
        walk("NSE:BBB", 15, seed=2, first=date(2000, 1, 4)),
        walk("NSE:CCC", 30, seed=3, first=date(1999, 12, 20)),
        walk(INDEX, 60, seed=4, first=date(1999, 12, 1)),
    ]
    series[2] = BarSeries("NSE:CCC", np.delete(series[2].records, [10, 11]))
    series[0].records["provisional"][-1] = True
    await PostgresBarStore(database).merge(
        BarTable.gather((ids[entry.symbol], entry) for entry in series), {}
    )
    return series


async def test_the_panel_equals_one_built_in_memory(database: Database, tmp_path: Path) -> None:
    """Shares with bars only, aligned on the union of their sessions, NaN where a bar is missing."""
    *shares, index = await three_shares_and_an_index(database)
    store = panel_store(database, tmp_path)
    panel = open_panel(await store.refresh(SELECTION))
    ticks = {"NSE:AAA": 0.05, "NSE:BBB": 0.1, "NSE:CCC": 0.05 * 3}
    assert_same(panel, build_panel(shares, index, tick_size=ticks))


async def test_only_the_last_sessions_are_shown(database: Database, tmp_path: Path) -> None:
    """So few of the stored bars that they are asked for by instrument; the other tests' go by page."""
    *shares, index = await three_shares_and_an_index(database)
    panel = open_panel(await panel_store(database, tmp_path).refresh(PanelSelection(INDEX, n_sessions=5)))
    whole = build_panel(shares, index)
    assert panel.sessions.tolist() == whole.sessions[-5:].tolist()
    first = whole.sessions[-5]
    shown = [share for share in shares if share.sessions[-1] >= first]
    assert panel.symbols == tuple(series.symbol for series in shown)


async def test_an_excluding_flag_is_the_reason_in_the_panel(database: Database, tmp_path: Path) -> None:
    await three_shares_and_an_index(database)
    doubt = QualityFlag(
        "NSE:BBB", QualityRule.JUMP_BEYOND_BAND, FIRST_DAY, "half the price overnight", excludes=True
    )
    remark = QualityFlag("NSE:CCC", QualityRule.VOLUME_MISSING, FIRST_DAY, "no volume", excludes=False)
    await PostgresQuarantineStore(database).set_flags(["NSE:BBB", "NSE:CCC"], [doubt, remark])
    panel = open_panel(await panel_store(database, tmp_path).refresh(SELECTION))
    assert panel.exclusions == {"NSE:BBB": "half the price overnight"}


async def test_other_flags_change_the_exclusions_and_no_bar(database: Database, tmp_path: Path) -> None:
    """The planes are shared with the snapshot before, whose readers keep what they had."""
    await three_shares_and_an_index(database)
    store, quarantine = panel_store(database, tmp_path), PostgresQuarantineStore(database)
    first = await store.refresh(SELECTION)
    doubt = QualityFlag("NSE:BBB", QualityRule.JUMP_BEYOND_BAND, FIRST_DAY, "half overnight", excludes=True)
    await quarantine.set_flags(["NSE:BBB"], [doubt])
    second = await store.update_exclusions()
    assert (await store.current(), second.version != first.version) == (second, True)
    before, after = open_panel(first), open_panel(second)
    assert (before.exclusions, after.exclusions) == ({}, {"NSE:BBB": "half overnight"})
    assert_same(replace(after, exclusions={}), before)
    assert shares_planes(Path(first.path), Path(second.path))
    await quarantine.set_flags(["NSE:BBB"], [])
    assert open_panel(await store.update_exclusions()).exclusions == {}
    np.testing.assert_array_equal(open_panel(await store.refresh(SELECTION)).values, before.values)


async def test_a_disk_that_cannot_link_gets_a_copy(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    await three_shares_and_an_index(database)
    store = panel_store(database, tmp_path)
    before = open_panel(await store.refresh(SELECTION))
    monkeypatch.setattr(Path, "hardlink_to", refuse)
    assert_same(open_panel(await store.update_exclusions()), before)


async def test_exclusions_without_a_panel_ask_to_collect_first(database: Database, tmp_path: Path) -> None:
    with pytest.raises(RetryableError, match="next collect"):
        await panel_store(database, tmp_path).update_exclusions()


async def test_an_empty_store_gives_an_empty_panel(database: Database, tmp_path: Path) -> None:
    panel = open_panel(await panel_store(database, tmp_path).refresh(SELECTION))
    assert panel.values.shape == (5, 0, 0)
    assert panel.symbols == ()


async def test_current_is_the_newest_and_two_snapshots_are_kept(database: Database, tmp_path: Path) -> None:
    """A reader of the last snapshot can finish; one of an older is told to ask again."""
    await three_shares_and_an_index(database)
    store = panel_store(database, tmp_path)
    assert await store.current() is None
    first, second, third = [await store.refresh(SELECTION) for _ in range(3)]
    assert await store.current() == third
    assert len({first.version, second.version, third.version}) == 3
    assert open_panel(second).symbols == open_panel(third).symbols
    with pytest.raises(RetryableError, match="newer ones"):
        open_panel(first)
    assert names_in(tmp_path) == [second.version, third.version, "refresh.lock"]


async def test_a_panel_is_made_where_the_file_system_knows_no_locks(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_file: object, _operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", fail)
    await three_shares_and_an_index(database)
    assert open_panel(await panel_store(database, tmp_path).refresh(SELECTION)).symbols


def test_a_full_disk_is_said_by_what_must_be_written(tmp_path: Path) -> None:
    """The number in the lock only tells others who makes a panel; no room for it is no failure."""
    Path(tmp_path / "refresh.lock").symlink_to("/dev/full")
    with PanelFiles(tmp_path).locked():
        pass


async def test_a_mapped_panel_outlives_its_files(database: Database, tmp_path: Path) -> None:
    """What a worker has mapped stays readable although the snapshot is deleted."""
    await three_shares_and_an_index(database)
    store = panel_store(database, tmp_path)
    panel = open_panel(await store.refresh(SELECTION))
    before = panel.close.copy()
    for _ in range(3):
        await store.refresh(SELECTION)
    np.testing.assert_array_equal(panel.close, before)


async def test_a_merge_during_the_refresh_is_seen_whole_or_not_at_all(
    database: Database, tmp_path: Path
) -> None:
    """The copies are of one moment: no snapshot has one symbol's new bar without the other's."""
    keys = await instruments_of(database, "NSE:AAA", "NSE:BBB")
    bars, store = PostgresBarStore(database), panel_store(database, tmp_path)
    await bars.merge(BarTable.gather((key, walk(f"S{key}", 2_000, seed=key)) for key in keys), {})

    async def keep_merging() -> None:
        for number in range(30):
            day = FIRST_DAY + timedelta(days=2_000 + number)
            await bars.merge(BarTable.gather((key, walk("S", 1, seed=key, first=day)) for key in keys), {})

    merging = asyncio.create_task(keep_merging(), name="keep merging")
    while not merging.done():
        panel = open_panel(await store.refresh(SELECTION))
        assert np.isfinite(panel.close[:, -1]).all()
    await merging


HOLD_THE_LOCK: Final = """
import os, sys
from pathlib import Path
from vcpd.store.panel_files import PanelFiles
with PanelFiles(Path(sys.argv[1])).locked():
    print(os.getpid(), flush=True)
    sys.stdin.read()
"""


async def test_a_second_process_says_which_one_makes_a_panel(database: Database, tmp_path: Path) -> None:
    """A daemon and a command on one folder would delete each other's unfinished files."""
    await three_shares_and_an_index(database)
    store = panel_store(database, tmp_path)
    before = await store.refresh(SELECTION)
    other = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLD_THE_LOCK, str(tmp_path), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout is not None
    number = int(await other.stdout.readline())
    for attempt in (store.refresh(SELECTION), store.rebuild(SELECTION), store.update_exclusions()):
        with pytest.raises(RetryableError, match=rf"another process of vcpd \({number}\)"):
            await attempt
    assert (await store.current(), str(number) in (store.refresh_error or "")) == (before, True)
    other.kill()
    await other.wait()
    assert (await store.refresh(SELECTION)).version != before.version


def test_what_a_killed_writer_left_is_cleaned(tmp_path: Path) -> None:
    files = PanelFiles(tmp_path)
    (tmp_path / "unfinished-1").mkdir()
    reference = files.write(build_panel([walk("NSE:AAA", 5, seed=1)]))
    assert names_in(tmp_path) == [reference.version]


@pytest.mark.parametrize(
    "name", ["bars_by_symbol.npy", "provisional_by_session.npy", "index_close.npy", "panel.json"]
)
@pytest.mark.parametrize("kept_bytes", [0, 200])
def test_a_snapshot_that_lost_its_contents_is_none(tmp_path: Path, name: str, kept_bytes: int) -> None:
    """As a power cut leaves it: the names are there, what they held is not, or in part."""
    files = PanelFiles(tmp_path)
    written = files.write(build_panel([walk("NSE:AAA", 300, seed=1)]))
    assert files.current() == written
    path = Path(written.path) / name
    path.write_bytes(path.read_bytes()[:kept_bytes])
    assert files.current() is None
    again = files.write(build_panel([walk("NSE:AAA", 300, seed=1)]))
    assert files.current() == again


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "panel").write_text("in the way", encoding="utf-8")
    with pytest.raises(UnavailableError, match="cannot write the panel"):
        PanelFiles(tmp_path / "panel").write(build_panel([walk("NSE:AAA", 5, seed=1)]))


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def shares_planes(left: Path, right: Path) -> bool:
    return (left / "bars_by_symbol.npy").samefile(right / "bars_by_symbol.npy")


def assert_same(left: Panel, right: Panel) -> None:
    assert left.symbols == right.symbols
    assert left.sessions.tolist() == right.sessions.tolist()
    np.testing.assert_array_equal(left.values, right.values)
    np.testing.assert_array_equal(left.provisional, right.provisional)
    np.testing.assert_array_equal(left.index_close, right.index_close)
    np.testing.assert_array_equal(left.tick_size, right.tick_size)
