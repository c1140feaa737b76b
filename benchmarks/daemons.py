"""Whole daemons for benchmarks: started, asked on their port, ended."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp

POLL_S = 0.2
PATIENCE_S = 900.0
INDICES: Final = 2  # of the simulated exchange, beside its symbols
OFTEN: Final = 100_000  # requests a second that nobody reaches


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


def quiet_daemon(port: int) -> str:
    """The configuration of a daemon on `port` with its state beside it, which logs warnings alone."""
    return f"""
[daemon]
state_dir = "state"
[web]
port = {port}
[log]
level = "warning"
"""


def limited_exchange(port: int, *, instruments: int, years: int, asked_per_s: int) -> str:
    """A simulated exchange on `port`, 0 for a free one, that takes one quote request a second and all others.

    The daemon asks for quotes as often, for histories and lists `asked_per_s` times a second each, and
    collects `years` of `instruments`, indices included.
    """
    return f"""
[sandbox]
symbols = {instruments - INDICES}
years = {years}
port = {port}
[sandbox.limits]
quote_per_s = 1
historical_per_s = {OFTEN}
other_per_s = {OFTEN}
all_gets_per_s = {OFTEN}
[limits]
quote_per_s = 1
historical_per_s = {asked_per_s}
other_per_s = {asked_per_s}
all_gets_per_s = {2 * asked_per_s}
[collect]
history_years = {years}
"""


def unlimited_exchange(*, symbols: int, years: int, asked_per_s: int) -> str:
    """A simulated exchange that refuses nothing, asked for everything `asked_per_s` times a second."""
    return f"""
[sandbox]
symbols = {symbols}
years = {years}
[sandbox.limits]
quote_per_s = {OFTEN}
historical_per_s = {OFTEN}
other_per_s = {OFTEN}
all_gets_per_s = {OFTEN}
[limits]
quote_per_s = {asked_per_s}
historical_per_s = {asked_per_s}
other_per_s = {asked_per_s}
all_gets_per_s = {asked_per_s}
"""


def configure(folder: Path, text: str) -> None:
    """Write the configuration that `daemon` runs on."""
    (folder / "config.toml").write_text(text, encoding="utf-8")


@asynccontextmanager
async def daemon(
    folder: Path, *arguments: str, notify: Path | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """`vcpd run` on the configuration in `folder`, ended by SIGTERM."""
    environment = dict(os.environ) | ({"NOTIFY_SOCKET": str(notify)} if notify else {})
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "vcpd",
        "run",
        "--config",
        str(folder / "config.toml"),
        *arguments,
        env=environment,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


async def until(port: int, condition: Callable[[Any], bool], patience_s: float = PATIENCE_S) -> Any:
    """The first /status that fulfils the condition."""
    url = f"http://127.0.0.1:{port}/status"
    async with asyncio.timeout(patience_s), aiohttp.ClientSession() as http:
        while True:
            try:
                async with http.get(url) as answer:
                    status = await answer.json()
            except (aiohttp.ClientError, OSError):
                status = None
            if status is not None and condition(status):
                return status
            await asyncio.sleep(POLL_S)


def last_run(status: Any, job: str) -> Any:
    """The job's last run, an empty one before the first."""
    return next(entry["last"] for entry in status["jobs"] if entry["name"] == job) or {}


def is_done(status: Any, job: str) -> bool:
    """Whether the job's last run went well."""
    return bool(last_run(status, job).get("outcome") == "done")


async def exchange_counts(port: int) -> Any:
    """Arrivals at the simulated exchange by class of request."""
    url = f"http://127.0.0.1:{port}/sandbox/statistics"
    async with aiohttp.ClientSession() as http, http.get(url) as answer:
        return (await answer.json())["data"]["classes"]
