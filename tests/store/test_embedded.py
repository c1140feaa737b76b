"""The embedded server starts, survives kill -9 of anything, and leaves no process and no mess behind."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import date
from pathlib import Path

import asyncpg
import psutil
import pytest

from tests.postgres import quick_place, temporary_folder
from vcpd.core.errors import PermanentError, UnavailableError
from vcpd.core.secrets import Secret
from vcpd.domain.instruments import Instrument
from vcpd.store import embedded, run_as
from vcpd.store.database import Database
from vcpd.store.embedded import EmbeddedPostgres
from vcpd.store.embedded_process import server_processes
from vcpd.store.instruments import PostgresInstrumentStore
from vcpd.store.run_as import RunAsMethod, RunAsUser, run_as_candidates
from vcpd.store.settings import StoreSettings

SETTINGS = StoreSettings(shared_buffers_mb=16)
DAEMON = Path(__file__).with_name("daemon.py")
ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder of the test's own, where a server starts quickly."""
    with temporary_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def prepared() -> Iterator[Path]:
    """A folder with data, no server: copying it is quicker than making it."""
    with temporary_folder() as parent:
        _prepare(parent / "postgres")
        yield parent / "postgres"


def _prepare(folder: Path) -> None:
    async def prepare() -> None:
        server = EmbeddedPostgres(folder, SETTINGS)
        await server.start()
        await server.stop()

    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        runner.run(prepare())


@pytest.fixture
async def server(place: Path, prepared: Path) -> AsyncIterator[EmbeddedPostgres]:
    shutil.copytree(prepared, place / "postgres")
    started = EmbeddedPostgres(place / "postgres", SETTINGS)
    yield started
    await started.stop()


@pytest.fixture
async def new_server(place: Path) -> AsyncIterator[EmbeddedPostgres]:
    """One that has no data yet."""
    started = EmbeddedPostgres(place / "postgres", SETTINGS)
    yield started
    await started.stop()


async def ask(address: str, question: str) -> object:
    connection = await asyncpg.connect(address)
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()


async def eventually(condition: Callable[[], bool], timeout_s: float = 15) -> None:
    deadline = asyncio.get_running_loop().time() + timeout_s
    while True:
        if condition():
            return
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.02)


async def test_data_lasts_from_start_to_start(server: EmbeddedPostgres) -> None:
    """Nothing is left running in between, and nothing listens but the socket in the folder."""
    address = await server.start()
    await ask(address, "CREATE TABLE kept AS SELECT 42 AS answer")
    assert await ask(address, "SHOW dynamic_shared_memory_type") == "mmap"
    assert await ask(address, "SHOW listen_addresses") == ""
    assert await ask(address, "SHOW fsync") == "on"
    await server.stop()
    assert server_processes(server.data_folder) == []
    assert await ask(await server.start(), "SELECT answer FROM kept") == 42


async def test_only_the_owner_may_enter_the_folders(new_server: EmbeddedPostgres, place: Path) -> None:
    await new_server.start()
    modes = {name: (place / "postgres" / name).stat().st_mode & 0o777 for name in ("", "data", "socket")}
    assert set(modes.values()) == {0o700}


async def test_nothing_outside_the_folder_is_touched(new_server: EmbeddedPostgres, place: Path) -> None:
    """Modes and owners of parents stay, and nothing else appears beside the folder."""
    before = [(path, path.stat().st_mode, path.stat().st_uid) for path in (place, *place.parents)]
    await new_server.start()
    assert [(path, path.stat().st_mode, path.stat().st_uid) for path, _, _ in before] == before
    assert os.listdir(place) == ["postgres"]  # noqa: PTH208


async def test_a_folder_name_too_long_for_a_socket_works(place: Path) -> None:
    """As does one with characters that an address would misread."""
    server = EmbeddedPostgres(place / ("long & odd? " * 12) / "postgres", SETTINGS)
    try:
        assert await ask(await server.start(), "SELECT 1") == 1
    finally:
        await server.stop()


async def test_a_second_daemon_is_refused_with_the_first_ones_process(
    server: EmbeddedPostgres, place: Path
) -> None:
    """And the first goes on unharmed; a guest may use the running server."""
    address = await server.start()
    second = EmbeddedPostgres(place / "postgres", SETTINGS)
    with pytest.raises(PermanentError, match=rf"another vcpd \(process {os.getpid()}\)"):
        await second.start()
    assert await ask(address, "SELECT 1") == 1
    guest = EmbeddedPostgres(place / "postgres", SETTINGS)
    assert await guest.attach() == address


async def test_there_is_nothing_to_attach_to_without_a_server(new_server: EmbeddedPostgres) -> None:
    assert await new_server.attach() is None
    await new_server.start()
    await new_server.stop()
    assert await new_server.attach() is None


async def test_a_server_that_dies_by_itself_is_noticed(server: EmbeddedPostgres) -> None:
    await server.start()
    watching = asyncio.create_task(server.watch(), name="watch the server")
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    with pytest.raises(UnavailableError, match="ended unexpectedly"):
        await asyncio.wait_for(watching, 10)
    await server.stop()
    assert await ask(await server.start(), "SELECT 1") == 1


async def test_a_server_that_is_stopped_is_no_accident(server: EmbeddedPostgres) -> None:
    await server.start()
    watching = asyncio.create_task(server.watch(), name="watch the server")
    await asyncio.sleep(0)
    await server.stop()
    await asyncio.wait_for(watching, 10)


async def test_a_hanging_client_does_not_hold_up_the_stop(server: EmbeddedPostgres) -> None:
    connection = await asyncpg.connect(await server.start())
    sleeping = asyncio.create_task(connection.execute("SELECT pg_sleep(600)"), name="sleep")
    await asyncio.sleep(0)
    await asyncio.wait_for(server.stop(), 10)
    with pytest.raises((asyncpg.PostgresError, OSError)):
        await sleeping


async def test_data_of_another_version_is_refused(server: EmbeddedPostgres) -> None:
    await server.start()
    await server.stop()
    (server.data_folder / "PG_VERSION").write_text("99\n", encoding="ascii")
    with pytest.raises(PermanentError, match="written by PostgreSQL 99, this vcpd ships"):
        await server.start()


async def test_unfinished_data_is_made_anew(new_server: EmbeddedPostgres, place: Path) -> None:
    """As a kill in the middle of the first start leaves it."""
    unfinished = place / "postgres" / "data.unfinished" / "base"
    unfinished.mkdir(parents=True)
    assert await ask(await new_server.start(), "SELECT 1") == 1
    assert not unfinished.exists()


async def test_a_stale_pid_file_with_a_living_strangers_number_is_no_obstacle(
    server: EmbeddedPostgres,
) -> None:
    await server.start()
    await server.stop()
    stale = f"{os.getppid()}\n{server.data_folder}\n1\n5432\n../socket\n\n"
    (server.data_folder / "postmaster.pid").write_text(stale, encoding="ascii")
    assert await ask(await server.start(), "SELECT 1") == 1


async def test_broken_data_fails_soon_with_the_servers_words(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "LAUNCH_RETRY_PERIOD_S", 0.0)
    await server.start()
    await server.stop()
    (server.data_folder / "global" / "pg_control").unlink()
    with pytest.raises(UnavailableError, match="pg_control"):
        await server.start()
    assert server_processes(server.data_folder) == []


async def test_a_folder_that_cannot_be_made_is_named(place: Path) -> None:
    (place / "file").write_text("", encoding="ascii")
    with pytest.raises(UnavailableError, match="state_dir"):
        await EmbeddedPostgres(place / "file" / "postgres", SETTINGS).start()


async def test_a_full_disk_is_named(new_server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch) -> None:
    """What initdb says then becomes a sentence, and no half-made data stays."""

    async def full(command: list[str]) -> tuple[int, str]:
        return 1, "initdb: error: could not write file: No space left on device"

    monkeypatch.setattr(embedded, "run_command", full)
    with pytest.raises(UnavailableError, match="the disk is full"):
        await new_server.start()
    assert not new_server.data_folder.exists()


@asynccontextmanager
async def daemon(folder: Path, *before: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, list[str]]]:
    """A real process that runs the server in `folder`; gives the words it says when ready."""
    process = await asyncio.create_subprocess_exec(
        *before,
        sys.executable,
        str(DAEMON),
        str(folder),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd="/",
    )
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), 60)
        yield process, line.decode().split(" ", 3)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_the_server_ends_with_a_killed_daemon_and_recovers(
    server: EmbeddedPostgres, place: Path
) -> None:
    """kill -9 of the daemon: the server shuts down by itself, what was committed is there."""
    async with daemon(place / "postgres") as (process, (_, _, _, address)):
        await ask(address, "CREATE TABLE kept AS SELECT 7 AS answer")
        process.kill()
        await process.wait()
        await eventually(lambda: not server_processes(server.data_folder))
    assert await ask(await server.start(), "SELECT answer FROM kept") == 7


@pytest.mark.parametrize("round_number", [1, 2])
async def test_kill_9_of_everything_at_once(server: EmbeddedPostgres, place: Path, round_number: int) -> None:
    """The next start comes at once and recovers."""
    async with daemon(place / "postgres") as (process, (_, _, _, address)):
        await ask(address, "CREATE TABLE kept AS SELECT generate_series(1, 10000) AS number")
        victims = [*server_processes(server.data_folder), psutil.Process(process.pid)]
        for victim in victims[::round_number]:
            victim.kill()
        process.kill()
    assert await ask(await server.start(), "SELECT count(*) FROM kept") == 10_000


async def test_an_orphan_of_a_dead_daemon_is_ended_first(server: EmbeddedPostgres, place: Path) -> None:
    """A server that is still alive without its daemon (here: frozen before it could hear of it)."""
    async with daemon(place / "postgres") as (process, (_, pid, _, address)):
        await ask(address, "CREATE TABLE kept AS SELECT 1 AS answer")
        os.kill(int(pid), signal.SIGSTOP)
        process.kill()
        await process.wait()
    starting = asyncio.create_task(server.start(), name="start")
    await asyncio.sleep(0)
    os.kill(int(pid), signal.SIGCONT)
    assert await ask(await starting, "SELECT answer FROM kept") == 1
    assert server.pid != int(pid)


async def test_ctrl_c_at_the_terminal_reaches_the_daemon_only(server: EmbeddedPostgres) -> None:
    """The server is in a session of its own."""
    await server.start()
    assert server.pid is not None
    assert os.getsid(server.pid) == server.pid != os.getsid(0)


@as_root
async def test_an_ordinary_user_runs_it_as_himself() -> None:
    """From start to stop as `nobody`, in a folder of his own, without a right of root over it."""
    with unreadable_folder() as folder:
        async with daemon(folder / "postgres", *as_other_user()) as (process, words):
            assert words[0] == "ready", words
            assert (words[2], (folder / "postgres" / "data").stat().st_uid) == (str(NOBODY), NOBODY)
            assert process.stdin is not None
            process.stdin.write(b"\n")
            assert await asyncio.wait_for(process.wait(), 20) == 0
        assert server_processes(folder / "postgres" / "data") == []


@as_root
@pytest.mark.parametrize("route", [RunAsMethod.SWITCHED, RunAsMethod.SWITCHED_READING])
async def test_root_without_namespaces_runs_it_as_another_user(
    route: RunAsMethod, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also below folders that nobody may not enter, by the right to walk through them."""
    parent = place if route is RunAsMethod.SWITCHED_READING else None
    with unreadable_folder(parent) as folder:
        monkeypatch.setattr(
            run_as, "run_as_candidates", lambda owner, user: [RunAsUser(route, NOBODY, NOBODY)]
        )
        server = EmbeddedPostgres(folder / "postgres", SETTINGS)
        try:
            assert await ask(await server.start(), "SELECT 1") == 1
            assert server.pid is not None
            assert psutil.Process(server.pid).uids().real == NOBODY
            assert server.data_folder.stat().st_uid == NOBODY
        finally:
            await server.stop()


@as_root
async def test_when_no_identity_works_it_says_what_to_do(
    new_server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below a closed folder, `nobody` without further rights cannot work."""
    server_folder = new_server.data_folder.parent
    server_folder.mkdir(parents=True)
    server_folder.parent.chmod(0o700)
    plain = [RunAsUser(RunAsMethod.SWITCHED, NOBODY, NOBODY)]
    monkeypatch.setattr(run_as, "run_as_candidates", lambda owner, user: plain)
    with pytest.raises(UnavailableError, match="run vcpd as an ordinary user, or set"):
        await new_server.start()


def test_root_works_on_another_users_data_as_that_user() -> None:
    routes = [(candidate.method, candidate.user_id) for candidate in run_as_candidates((1000, 1000), 0)]
    assert routes == [(RunAsMethod.SWITCHED, 1000), (RunAsMethod.SWITCHED_READING, 1000)]


def test_a_user_without_a_name_gets_one_in_a_namespace() -> None:
    """PostgreSQL refuses a user id that has no entry."""
    (only,) = run_as_candidates((54_321, 54_321), 54_321)
    assert only.method is RunAsMethod.NAMESPACE
    assert only.user_id != 54_321


def as_other_user() -> list[str]:
    """The command that becomes nobody, who may walk to this interpreter where it lies in a closed folder."""
    again = "import subprocess, sys; subprocess.run([sys.executable, '-c', ''], check=True)"
    become = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    reachable = subprocess.run([*become, sys.executable, "-c", again], check=False, capture_output=True)
    walk = ["--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"]
    return become if reachable.returncode == 0 else [*become, *walk]


@contextmanager
def unreadable_folder(parent: Path | None = None) -> Iterator[Path]:
    """A new folder that belongs to nobody, below one that everybody may enter, or below `parent`."""
    with tempfile.TemporaryDirectory(dir=parent or quick_place()) as name:
        os.chown(name, NOBODY, NOBODY)
        yield Path(name)


HOSTILE_ENVIRONMENT = {
    "PGHOST": "192.0.2.1",
    "PGPORT": "5433",
    "PGUSER": "stranger",
    "PGPASSWORD": "wrong",
    "PGDATABASE": "absent",
    "PGPASSFILE": "/absent/pgpass",
    "PGSERVICE": "absent",
    "PGSERVICEFILE": "/absent/service.conf",
    "PGSSLMODE": "verify-full",
    "PGSSLROOTCERT": "/absent/root.crt",
    "PGSSLNEGOTIATION": "direct",
    "PGTARGETSESSIONATTRS": "standby",
    "PGKRBSRVNAME": "other",
    "PGGSSLIB": "nonsense",
    "PGOPTIONS": "-c search_path=elsewhere",
    "PGDATA": "/absent/data",
    "PGTZ": "Nowhere",
    "PGCLIENTENCODING": "nonsense",
}


@pytest.mark.parametrize("name", [*HOSTILE_ENVIRONMENT, "all at once"])
async def test_no_variable_of_libpq_reaches_the_embedded_server(
    name: str, server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Set for another database of the same user, they must not keep this one from starting."""
    for variable, value in HOSTILE_ENVIRONMENT.items():
        if name in (variable, "all at once"):
            monkeypatch.setenv(variable, value)
    assert await ask(await server.start(), "SELECT current_user::text") == "vcpd"


async def test_no_file_of_libpq_reaches_the_embedded_server(
    server: EmbeddedPostgres, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A home with a password file that others may read, and one of services."""
    home = place / "home"
    home.mkdir()
    (home / ".pgpass").write_text("*:*:*:*:wrong", encoding="utf-8")
    (home / ".pgpass").chmod(0o644)
    (home / ".pg_service.conf").write_text("[absent]\nport=1\nhost=192.0.2.1\n", encoding="utf-8")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PGSERVICE", "absent")
    assert await ask(await server.start(), "SELECT 1") == 1


@as_root
async def test_what_root_makes_belongs_to_the_owner_of_the_state_folder() -> None:
    """A command of root before the first start: the service's own user can start afterwards."""
    with unreadable_folder() as state:
        server = EmbeddedPostgres(state / "store" / "postgres", SETTINGS)
        try:
            assert await ask(await server.start(), "SELECT 1") == 1
        finally:
            await server.stop()
        assert {path.lstat().st_uid for path in (state, *state.rglob("*"))} == {NOBODY}
        async with daemon(state / "store" / "postgres", *as_other_user()) as (process, words):
            assert words[0] == "ready", words
            assert process.stdin is not None
            process.stdin.write(b"\n")
            assert await asyncio.wait_for(process.wait(), 20) == 0


async def test_damage_on_disk_is_found_by_reading_everything(server: EmbeddedPostgres) -> None:
    """Two hundred bytes of one page of a table, as a failing disk would change them."""
    dsn = Secret(await server.start())
    database = await Database.open(dsn, SETTINGS)
    await database.check_integrity()
    listed = [Instrument(f"NSE:{number}", number) for number in range(500)]
    await PostgresInstrumentStore(database).merge(listed, date(2024, 1, 1))
    await database.execute("CHECKPOINT")
    name = await ask(dsn.reveal(), "SELECT pg_relation_filepath('vcpd.instruments')")
    await database.close()
    await server.stop()
    damage(server.data_folder / str(name))
    database = await Database.open(Secret(await server.start()), SETTINGS)
    with pytest.raises(PermanentError, match=r"table instruments: invalid page .* restore a backup"):
        await database.check_integrity()
    with pytest.raises(PermanentError, match=r"the store is damaged \(invalid page .*vcpd restore"):
        await PostgresInstrumentStore(database).all()  # as any job would meet it
    await database.close()


def damage(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(8192 + 4096)
        file.write(bytes(200))
