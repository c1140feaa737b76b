"""`vcpd migrate`: the store's schema, brought up to date."""

import argparse
import asyncio

from vcpd.cli.stored import open_store
from vcpd.cli.verbs import EXIT_OK


def migrate(arguments: argparse.Namespace) -> int:
    """PermanentError where a newer vcpd has been at work."""
    version = asyncio.run(_migrate(arguments))
    print(f"the store's schema is at version {version}, the newest this vcpd knows")
    return EXIT_OK


async def _migrate(arguments: argparse.Namespace) -> int:
    async with open_store(arguments) as stored:
        return stored.storage.database.version
