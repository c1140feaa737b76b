"""`vcpd backup`, `vcpd restore`, `vcpd store upgrade`: the whole store to a file, back, to a newer server."""

import argparse
import asyncio
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from vcpd.app.storage import STORE_FOLDER
from vcpd.cli.command import EXIT_OK, add_command, add_config_argument, add_json_argument, set_action
from vcpd.cli.config import load_named
from vcpd.cli.output import print_json
from vcpd.cli.store import open_store, store_dsn_of
from vcpd.config import LoadedConfiguration
from vcpd.core.errors import BadInputError, UnavailableError
from vcpd.domain.backup import BackupManifest
from vcpd.runtime import logs
from vcpd.runtime.clock import WallClock
from vcpd.store.backup import restore_backup, stored_size_bytes, write_backup
from vcpd.store.backup_archive import ArchiveReader
from vcpd.store.backup_folder import CONFIGURATION_MEMBER, backup_members
from vcpd.store.server_upgrade import (
    UpgradePlan,
    delete_old_data,
    old_data_folder,
    plan_upgrade,
    upgrade_server,
)

PANEL_FOLDER = "panel"


def add_backup_arguments(parser: argparse.ArgumentParser) -> None:
    set_action(parser, back_up, "vcpd backup /mnt/disk/vcpd.zip\nvcpd backup --check /mnt/disk/vcpd.zip")
    parser.add_argument("file", type=Path, metavar="FILE", help="written completely or not at all")
    parser.add_argument(
        "--check", action="store_true", help="only read an existing backup whole and compare its checksums"
    )
    add_config_argument(parser)
    add_json_argument(parser)


def back_up(arguments: argparse.Namespace) -> int:
    """UnavailableError when the disk is too full; with --check BadInputError for a file that is damaged."""
    manifest = _check(arguments.file) if arguments.check else asyncio.run(_back_up(arguments))
    done = "is whole" if arguments.check else "written"
    _print_manifest(manifest, arguments, done)
    return EXIT_OK


def _check(path: Path) -> BackupManifest:
    with ArchiveReader.open(path) as archive, _progress("checking", archive.manifest.size_bytes) as on_bytes:
        archive.verify(on_bytes)
        return archive.manifest


async def _back_up(arguments: argparse.Namespace) -> BackupManifest:
    loaded = load_named(arguments)
    async with open_store(arguments) as stored, stored.storage.database.connection() as connection:
        files = await asyncio.to_thread(backup_members, loaded.path)
        with _progress("writing", await stored_size_bytes(connection)) as on_bytes:
            return await write_backup(connection, arguments.file, WallClock().now(), files, on_bytes)


def add_restore_arguments(parser: argparse.ArgumentParser) -> None:
    set_action(parser, restore, "vcpd restore /mnt/disk/vcpd.zip\nvcpd restore --replace /mnt/disk/vcpd.zip")
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="a file that `vcpd backup` or the daemon wrote"
    )
    parser.add_argument(
        "--replace", action="store_true", help="delete what the store holds; without it, it must be empty"
    )
    add_config_argument(parser)
    add_json_argument(parser)


def restore(arguments: argparse.Namespace) -> int:
    """BadInputError for a file that is cut or altered, and for a store that holds something."""
    with ArchiveReader.open(arguments.file):  # an unusable file is reported before a server is started
        pass
    manifest = asyncio.run(_restore(arguments))
    _print_manifest(manifest, arguments, "restored")
    return EXIT_OK


async def _restore(arguments: argparse.Namespace) -> BackupManifest:
    loaded = load_named(arguments)
    with ArchiveReader.open(arguments.file) as archive:
        total_bytes = 2 * archive.manifest.size_bytes
    async with open_store(arguments) as stored, stored.storage.database.connection() as connection:
        with _progress("restoring", total_bytes) as on_bytes:
            manifest = await restore_backup(
                connection, arguments.file, replace=arguments.replace, on_bytes=on_bytes
            )
    await asyncio.to_thread(_delete_panel, loaded.state_dir / PANEL_FOLDER)
    return manifest


def add_store_arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    upgrade = add_command(
        commands,
        "upgrade",
        "move the embedded store to the newest PostgreSQL that vcpd ships; the old data are kept",
        "vcpd store upgrade --check\nvcpd store upgrade\nvcpd store upgrade --delete-old",
        upgrade_store,
    )
    upgrade.add_argument("--check", action="store_true", help="only say what it would need")
    upgrade.add_argument(
        "--delete-old", action="store_true", help="delete the old data that upgrades have kept"
    )
    upgrade.add_argument(
        "--old-programs",
        type=Path,
        metavar="FOLDER",
        help="the programs of the PostgreSQL that wrote the data, where vcpd no longer ships it",
    )
    add_config_argument(upgrade)


def upgrade_store(arguments: argparse.Namespace) -> int:
    """BadInputError where the store is the user's own server; UnavailableError when the disk is too full."""
    logs.configure_quiet()
    loaded = load_named(arguments)
    if store_dsn_of(loaded) is not None:
        raise BadInputError(
            "the store is your own server ([store] dsn): upgrade it with PostgreSQL's own tools"
        )
    folder = loaded.state_dir / STORE_FOLDER
    if arguments.delete_old:
        deleted = delete_old_data(folder)
        print("\n".join(f"deleted {path}" for path in deleted) or "there are no old data")
        return EXIT_OK
    plan = asyncio.run(plan_upgrade(folder, arguments.old_programs))
    if not plan.is_needed:
        print(f"the store is at PostgreSQL {plan.old_major}, the newest that this vcpd ships: nothing to do")
        return EXIT_OK
    print(
        f"PostgreSQL {plan.old_major} to {plan.new_major}: {plan.data_bytes / 1e6:,.0f} MB of data, about "
        f"{plan.duration_s:,.0f} s; needs {plan.needed_bytes / 1e6:,.0f} MB of free disk, "
        f"{plan.free_bytes / 1e6:,.0f} MB are free",
        flush=True,
    )
    return EXIT_OK if arguments.check else _upgrade(folder, loaded, plan, arguments.old_programs)


def _upgrade(folder: Path, loaded: LoadedConfiguration, plan: UpgradePlan, programs: Path | None) -> int:
    with _progress("upgrading", 3 * plan.data_bytes) as on_bytes:
        took_s = asyncio.run(upgrade_server(folder, loaded.configuration.store, plan, programs, on_bytes))
    print(
        f"the store is at PostgreSQL {plan.new_major} now, after {took_s:,.0f} s; the old data are kept in "
        f"{old_data_folder(folder, plan.old_major)} until `vcpd store upgrade --delete-old`"
    )
    return EXIT_OK


def _delete_panel(folder: Path) -> None:
    """A snapshot of the bars that were stored before must not be screened."""
    try:
        if folder.is_dir():
            shutil.rmtree(folder)
    except OSError as error:
        raise UnavailableError(
            f"restored, but {folder} cannot be deleted ({error.strerror}): delete it before vcpd is started"
        ) from None


@contextmanager
def _progress(words: str, total_bytes: int) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal's standard error; gives the function to advance it by a number of bytes."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()
    ) as bar:
        task = bar.add_task(words, total=total_bytes or None)
        yield lambda count: bar.advance(task, count)


def _print_manifest(manifest: BackupManifest, arguments: argparse.Namespace, done: str) -> None:
    if arguments.json:
        print_json(manifest)
        return
    rows = {table.name: table.rows for table in manifest.tables}
    print(
        f"{arguments.file}: {done}; {rows.get('bars', 0):,} bars, {manifest.rows:,} rows in "
        f"{len(manifest.tables)} tables, as of {manifest.created_at:%Y-%m-%d %H:%M:%S} UTC, "
        f"vcpd {manifest.program}"
    )
    if done == "restored":
        print(
            f"its configuration is in the file: `unzip -p {arguments.file} {CONFIGURATION_MEMBER}`; secrets "
            "are in no backup; the daemon makes its panel anew at its next start"
        )
