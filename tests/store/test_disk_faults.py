"""Whatever write the disk refuses: a plain sentence, the old contents whole, and the next try works."""

import errno
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.bhavcopy.publisher import small_market
from tests.store.disk_faults import (
    DISK_CODES,
    FaultyDisk,
    fail_at_each_operation,
    failure_of,
    small_disk,
)
from tests.store.market import FIRST_DAY, instruments_of, walk
from vcpd.app.credentials import write_private
from vcpd.bhavcopy.history import IngestItem, ingest_files, open_history
from vcpd.core.atomic_file import versions_of, write_atomic
from vcpd.core.errors import UnavailableError, is_transient, root_error
from vcpd.core.secrets import Secret
from vcpd.domain.bars import BarTable
from vcpd.domain.panel import PanelSelection, build_panel
from vcpd.kite.token_store import SessionToken, TokenFile
from vcpd.store.bars import PostgresBarStore
from vcpd.store.database import Database, store_errors
from vcpd.store.instruments import PostgresInstrumentStore
from vcpd.store.panel import PostgresPanelStore
from vcpd.store.panel_files import PanelFiles, open_panel

N_SESSIONS = 300
SPACE_KB = 65_536


@pytest.mark.parametrize("code", DISK_CODES)
def test_an_error_of_the_disk_inside_groups_is_a_sentence_that_can_pass(code: int) -> None:
    error = ExceptionGroup("a", [ExceptionGroup("b", [OSError(code, "words", "/state/panel")])])
    found = root_error(error)
    assert isinstance(found, UnavailableError)
    assert "cannot write /state/panel: " in str(found)
    assert is_transient(found)


def test_other_errors_inside_groups_stay_what_they_are() -> None:
    wrong = ValueError("wrong")
    assert root_error(ExceptionGroup("a", [wrong, OSError(errno.ENOSPC, "later")])) is wrong
    missing = FileNotFoundError(errno.ENOENT, "absent")
    assert root_error(missing) is missing


@pytest.mark.parametrize("code", DISK_CODES)
def test_a_full_disk_of_ours_is_not_an_absent_store(code: int) -> None:
    """A group raised by tasks that copy out of the store names the file, not the connection."""
    with pytest.raises(UnavailableError, match="cannot write /state/bars-0"), store_errors():
        raise ExceptionGroup("tasks", [OSError(code, "words", "/state/bars-0.copy")])


@pytest.mark.parametrize("code", DISK_CODES)
async def test_each_failing_write_of_a_snapshot_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    files = PanelFiles(tmp_path / "panel")
    panel = build_panel([walk("NSE:AAA", 50, seed=1), walk("NSE:BBB", 50, seed=2)])
    files.write(panel)

    async def write() -> None:
        files.write(panel)

    def check() -> None:
        current = files.current()
        assert current is not None
        np.testing.assert_array_equal(open_panel(current).values, panel.values)

    disk = FaultyDisk(tmp_path, monkeypatch)
    assert await fail_at_each_operation(disk, code, write, check) >= 10


def write_small_file(path: Path) -> None:
    write_atomic(path, b"old")


def write_secret(path: Path) -> None:
    write_private(path, "old")


def write_token(path: Path) -> None:
    at = datetime(2026, 7, 10, 3, tzinfo=UTC)
    token = SessionToken(api_key="key", access_token=Secret("old"), user_id="me", login_at=at, expires_at=at)
    TokenFile(path).write(token)


@pytest.mark.parametrize("code", DISK_CODES)
@pytest.mark.parametrize("write", [write_small_file, write_secret, write_token])
async def test_each_failing_write_of_a_small_file_leaves_the_old_contents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, write: Callable[[Path], None]
) -> None:
    """The page's settings, secrets, the market's token; what the exchange's site gave is kept likewise."""
    path = tmp_path / "state.json"
    write(path)
    before = path.read_bytes()

    async def write_again() -> None:
        write(path)

    def check() -> None:
        assert path.read_bytes() == before
        assert [item.name for item in tmp_path.iterdir()] == ["state.json"]

    disk = FaultyDisk(tmp_path, monkeypatch)
    assert await fail_at_each_operation(disk, code, write_again, check) >= 7


@pytest.mark.parametrize("code", DISK_CODES)
async def test_each_failing_write_of_the_bhavcopy_history_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """A worker takes files in: another session fails at each operation, then it is there."""
    publisher = small_market()
    source, folder = publisher.publish(tmp_path / "files"), tmp_path / "history"
    first, second = (
        IngestItem(
            day,
            str(next(source.rglob(Path(publisher.daily_file(day, publisher.layout_of(day))[0]).name))),
            "",
        )
        for day in publisher.sessions[20:22]
    )
    assert ingest_files(str(folder), [first]) == ()
    before = open_history(folder)

    async def write() -> None:
        ingest_files(str(folder), [second])

    def check() -> None:
        found = open_history(folder)
        assert found.index.sessions in {before.index.sessions, (first.session, second.session)}
        assert len(versions_of(folder, "")) <= 2

    disk = FaultyDisk(folder, monkeypatch)
    assert await fail_at_each_operation(disk, code, write, check) >= 10
    assert open_history(folder).index.sessions == (first.session, second.session)


def _doubled(value: int) -> int:
    return value * 2


async def panel_store(database: Database, folder: Path) -> PostgresPanelStore:
    """Two shares with `N_SESSIONS` bars each, and a panel store in `folder`."""
    keys = await instruments_of(database, "NSE:AAA", "NSE:BBB")
    series = [(key, walk(f"S{key}", N_SESSIONS, seed=key, first=FIRST_DAY)) for key in keys]
    await PostgresBarStore(database).merge(BarTable.gather(series), {})
    return PostgresPanelStore(database, PostgresInstrumentStore(database), folder)


async def test_each_failing_write_of_a_refresh_is_made_good_by_the_next(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copying out of the store and building: tasks, threads and folders included."""
    store = await panel_store(database, tmp_path / "panel")
    wanted = open_panel(await store.refresh(PanelSelection(""))).values.copy()
    reasons: list[str | None] = []

    def check() -> None:
        assert not list((tmp_path / "panel").glob("*.copy"))
        reasons.append(store.refresh_error)

    disk = FaultyDisk(tmp_path, monkeypatch)
    n_operations = await fail_at_each_operation(
        disk, errno.ENOSPC, partial(store.refresh, PanelSelection("")), check
    )
    assert n_operations >= 15
    assert sum("space" in (reason or "") for reason in reasons) >= 10
    disk.arm(0, 0)
    np.testing.assert_array_equal(open_panel(await store.refresh(PanelSelection(""))).values, wanted)
    assert store.refresh_error is None


async def test_a_disk_of_any_size_either_holds_the_snapshot_or_says_why_not(
    database: Database, tmp_path: Path
) -> None:
    """A real file system, grown step by step: each refusal is a sentence, and room alone mends it."""
    store = await panel_store(database, tmp_path)
    refused = 0
    with small_disk(tmp_path, 4) as disk:
        for kilobytes in range(4, 256, 12):
            disk.resize(kilobytes)
            failure = await failure_of(partial(store.refresh, PanelSelection("")))
            assert failure is None or "space" in str(failure)
            refused += isinstance(failure, UnavailableError)
        assert refused >= 3
        disk.resize(SPACE_KB)
        panel = open_panel(await store.refresh(PanelSelection("")))
        assert panel.values.shape == (5, 2, N_SESSIONS)
