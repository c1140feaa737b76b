"""The simulated exchange as a child process of the daemon: its arithmetic never touches the daemon's loop."""

import asyncio
import contextlib
import sys
from collections.abc import Mapping
from typing import Final, Self

import msgspec
import structlog

from vcpd.domain.errors import UnavailableError
from vcpd.ports import Clock
from vcpd.runtime.clock import VirtualClock
from vcpd.sandbox.settings import SandboxSettings

START_TIMEOUT_S: Final = 60.0
STOP_TIMEOUT_S: Final = 5.0
LISTEN_BYTES: Final = 8_192
QUOTED_CHARACTERS: Final = 1_000

log = structlog.get_logger("vcpd.sandbox")


class SandboxProcess:
    """A running `vcpd sandbox` of our own; `url` is where it answers."""

    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self._process = process
        self._listeners = [
            asyncio.create_task(_listen(pipe), name="sandbox-listen")
            for pipe in (process.stdout, process.stderr)
            if pipe is not None
        ]
        self.url = url

    @classmethod
    async def start(cls, settings: SandboxSettings, clock: Clock, environment: Mapping[str, str]) -> Self:
        """Raises UnavailableError, with the child's own words, when it does not come up."""
        process = await asyncio.create_subprocess_exec(
            *_command(clock),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=dict(environment),
            start_new_session=True,
        )
        try:
            return cls(process, await _announced(process, settings))
        except BaseException:
            await _end(process)
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    async def wait(self) -> int:
        """Returns when the child has ended; gives its exit code."""
        return await self._process.wait()

    async def close(self) -> None:
        await _end(self._process)
        for listener in self._listeners:
            listener.cancel()
        await asyncio.gather(*self._listeners, return_exceptions=True)


def _command(clock: Clock) -> list[str]:
    command = [sys.executable, "-m", "vcpd", "sandbox", "--port", "0", "--child"]
    if isinstance(clock, VirtualClock):
        command += [
            "--now",
            clock.start.isoformat(),
            "--speed",
            str(clock.speed),
            "--since",
            clock.since.isoformat(),
        ]
    return command


async def _announced(process: asyncio.subprocess.Process, settings: SandboxSettings) -> str:
    """Hand the settings over and wait for the line that tells the address."""
    output, pipe = process.stdout, process.stdin
    if output is None or pipe is None or process.stderr is None:
        raise UnavailableError("the sandbox exchange has no pipes to speak through")
    pipe.write(msgspec.json.encode(settings) + b"\n")
    await pipe.drain()
    line = b""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(START_TIMEOUT_S):
            line = await output.readline()
    if not line:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        words = (await process.stderr.read()).decode(errors="replace").strip().splitlines()[-1:]
        raise UnavailableError(f"the sandbox exchange did not start: {' '.join(words) or 'it said nothing'}")
    url: str = msgspec.json.decode(line)["url"]
    return url


async def _listen(pipe: asyncio.StreamReader) -> None:
    """Into the log, until it closes: a pipe that nobody empties holds up the child that writes to it.

    One record for a piece, not for a line: a child that babbles must not keep the daemon's loop busy.
    """
    while piece := await pipe.read(LISTEN_BYTES):
        words = piece.decode(errors="replace").strip()
        log.warning("sandbox.said", text=words[:QUOTED_CHARACTERS], characters=len(words))


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ask it to end, then make it."""
    for signal_it in (process.terminate, process.kill):
        if process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            signal_it()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await process.wait()
