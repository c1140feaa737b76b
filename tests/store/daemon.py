"""A daemon reduced to its store, for tests that kill it: starts the server, says so, and waits."""

import asyncio
import os
import sys
from pathlib import Path

import uvloop

from vcpd.core.errors import VcpdError
from vcpd.store.embedded import EmbeddedPostgres
from vcpd.store.settings import StoreSettings


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def main(folder: Path) -> None:
    server = EmbeddedPostgres(folder, StoreSettings(shared_buffers_mb=16))
    try:
        address = await server.start()
    except VcpdError as error:
        say(f"error {type(error).__name__}: {error}")
        return
    say(f"ready {server.pid} {os.geteuid()} {address}")
    await asyncio.to_thread(sys.stdin.readline)
    await server.stop()


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1])))
