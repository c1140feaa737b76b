"""A real daemon process for tests: started, asked over its port, ended by real signals."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psutil

POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Daemon:
    """A `vcpd run` under test; `log` collects what it says."""

    process: asyncio.subprocess.Process
    port: int
    log: Path

    async def get(self, path: str) -> tuple[int, Any]:
        """Status and JSON of one answer."""
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"http://127.0.0.1:{self.port}{path}") as answer,
        ):
            return answer.status, await answer.json()

    def authorization(self) -> dict[str, str]:
        """The header from the file that the daemon keeps for programs of its user."""
        line = (self.log.parent / "state" / "authorization.header").read_text(encoding="ascii")
        name, _, value = line.strip().partition(": ")
        return {name: value}

    async def status(self) -> Any:
        return (await self.get("/status"))[1]

    async def start_job(self, name: str, session: str | None = None) -> int:
        """Start a run by hand, as the page's button does; gives its id."""
        url = f"http://127.0.0.1:{self.port}/api/jobs/{name}/run" + (f"?session={session}" if session else "")
        async with (
            aiohttp.ClientSession() as http,
            http.post(url, headers=self.authorization()) as answer,
        ):
            body = await answer.json()
            assert answer.status == 202, body
            number: int = body["run_id"]
            return number

    async def until(self, condition: Callable[[Any], bool], deadline_s: float, poll_s: float = POLL_S) -> Any:
        """The first /status that fulfils `condition`; fails with the log's end when it never comes."""
        seen: Any = None
        end = asyncio.get_running_loop().time() + deadline_s
        while asyncio.get_running_loop().time() < end:
            if self.process.returncode is not None:
                raise AssertionError(f"the daemon ended with {self.process.returncode}:\n{self.tail()}")
            try:
                seen = await self.status()
            except (aiohttp.ClientError, OSError):
                seen = None
            if seen is not None and condition(seen):
                return seen
            await asyncio.sleep(poll_s)
        raise AssertionError(f"never came true; last status {json.dumps(seen)[:3000]}\n{self.tail()}")

    def tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-40:])

    def family(self) -> list[psutil.Process]:
        """The daemon and every process below it."""
        try:
            root = psutil.Process(self.process.pid)
            return [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    async def stop(self, number: signal.Signals = signal.SIGTERM, deadline_s: float = 30.0) -> int:
        """Send the signal and wait for the end; gives the exit code."""
        self.process.send_signal(number)
        async with asyncio.timeout(deadline_s):
            return await self.process.wait()


def write_configuration(folder: Path, port: int, text: str = "") -> Path:
    """A configuration of its own for one test: own state directory, own port."""
    path = folder / "config.toml"
    path.write_text(f'[daemon]\nstate_dir = "state"\n[web]\nport = {port}\n{text}', encoding="utf-8")
    return path


@asynccontextmanager
async def running(
    configuration: Path,
    port: int,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    module: str = "vcpd",
) -> AsyncIterator[Daemon]:
    """`vcpd run` with this configuration; whatever the test does, nothing of it survives."""
    log = configuration.parent / "daemon.log"
    command = [sys.executable, "-m", module, "run", "--config", str(configuration), *arguments]
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **(environment or {})},
        )
    daemon = Daemon(process, port, log)
    try:
        yield daemon
    finally:
        family = daemon.family()
        if process.returncode is None:
            process.kill()
            await process.wait()
        end_all(family)


def end_all(family: list[psutil.Process]) -> None:
    """Kill what is left of a family, so that one failing test does not disturb the next."""
    for member in family:
        try:
            member.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(family, timeout=10)


def outcomes(status: Any) -> dict[str, str | None]:
    """The outcome of each job's last run."""
    return {job["name"]: (job["last"] or {}).get("outcome") for job in status["jobs"]}
