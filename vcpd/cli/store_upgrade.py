"""`vcpd store upgrade`: the embedded store moves to the newest PostgreSQL that vcpd ships."""

import argparse
import asyncio
from pathlib import Path

from vcpd.app.storage import STORE_FOLDER
from vcpd.cli.backup import byte_progress
from vcpd.cli.command import EXIT_OK, add_command, add_config_argument, set_action
from vcpd.cli.config import load_named
from vcpd.cli.store import store_dsn_of
from vcpd.config import LoadedConfiguration
from vcpd.core.errors import BadInputError
from vcpd.runtime import logs
from vcpd.store.server_upgrade import (
    UpgradePlan,
    delete_old_data,
    old_data_folder,
    plan_upgrade,
    upgrade_server,
)


def add_store_arguments(parser: argparse.ArgumentParser) -> None:
    set_action(parser, upgrade_store, "vcpd store upgrade")
    commands = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    upgrade = add_command(
        commands,
        "upgrade",
        "move the embedded store to the newest PostgreSQL that vcpd ships; the old data are kept",
        "vcpd store upgrade --check\nvcpd store upgrade\nvcpd store upgrade --delete-old",
        upgrade_store,
    )
    upgrade.add_argument("--check", action="store_true", help="only report what the upgrade would need")
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
    with byte_progress("upgrading", 3 * plan.data_bytes) as on_bytes:
        took_s = asyncio.run(upgrade_server(folder, loaded.configuration.store, plan, programs, on_bytes))
    print(
        f"the store is at PostgreSQL {plan.new_major} now, after {took_s:,.0f} s; the old data are kept in "
        f"{old_data_folder(folder, plan.old_major)} until `vcpd store upgrade --delete-old`"
    )
    return EXIT_OK
