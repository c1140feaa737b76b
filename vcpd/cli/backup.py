"""`vcpd backup` and `vcpd restore`: everything that is stored, to one file and back."""

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

from vcpd.cli.command import EXIT_OK, add_config_argument, add_json_argument, set_action
from vcpd.cli.config import load_named
from vcpd.cli.output import print_json
from vcpd.cli.store import open_store
from vcpd.core.errors import UnavailableError
from vcpd.domain.backup import BackupManifest
from vcpd.runtime.clock import WallClock
from vcpd.store.backup import restore_backup, stored_size_bytes, write_backup
from vcpd.store.backup_archive import ArchiveReader
from vcpd.store.backup_folder import CONFIGURATION_MEMBER, backup_members
from vcpd.store.panel_files import PANEL_FOLDER


def add_backup_arguments(parser: argparse.ArgumentParser) -> None:
    set_action(parser, back_up, "vcpd backup /mnt/disk/vcpd.zip\nvcpd backup --check /mnt/disk/vcpd.zip")
    parser.add_argument("file", type=Path, metavar="FILE", help="written completely or not at all")
    parser.add_argument(
        "--check",
        action="store_true",
        help="only read an existing backup completely and compare its checksums",
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
    with (
        ArchiveReader.open(path) as archive,
        byte_progress("checking", archive.manifest.size_bytes) as on_bytes,
    ):
        archive.verify(on_bytes)
        return archive.manifest


async def _back_up(arguments: argparse.Namespace) -> BackupManifest:
    loaded = load_named(arguments)
    async with open_store(arguments) as stored, stored.storage.database.connection() as connection:
        files = await asyncio.to_thread(backup_members, loaded.path)
        with byte_progress("writing", await stored_size_bytes(connection)) as on_bytes:
            return await write_backup(connection, arguments.file, WallClock().now(), files, on_bytes)


def add_restore_arguments(parser: argparse.ArgumentParser) -> None:
    set_action(parser, restore, "vcpd restore /mnt/disk/vcpd.zip\nvcpd restore --replace /mnt/disk/vcpd.zip")
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="a file that `vcpd backup` or the daemon wrote"
    )
    parser.add_argument(
        "--replace",
        action="store_true",
        help="delete the contents of the store first; without this option it must be empty",
    )
    add_config_argument(parser)
    add_json_argument(parser)


def restore(arguments: argparse.Namespace) -> int:
    """BadInputError for a file that is truncated or altered, and for a store that is not empty."""
    with ArchiveReader.open(arguments.file) as archive:  # an unusable one is reported before a server starts
        total_bytes = 2 * archive.manifest.size_bytes
    manifest = asyncio.run(_restore(arguments, total_bytes))
    _print_manifest(manifest, arguments, "restored")
    return EXIT_OK


async def _restore(arguments: argparse.Namespace, total_bytes: int) -> BackupManifest:
    loaded = load_named(arguments)
    async with open_store(arguments) as stored, stored.storage.database.connection() as connection:
        with byte_progress("restoring", total_bytes) as on_bytes:
            manifest = await restore_backup(
                connection, arguments.file, replace=arguments.replace, on_bytes=on_bytes
            )
    await asyncio.to_thread(_delete_panel, loaded.state_dir / PANEL_FOLDER)
    return manifest


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
def byte_progress(words: str, total_bytes: int) -> Iterator[Callable[[int], None]]:
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
            "are in no backup; the daemon creates its panel again at its next start"
        )
