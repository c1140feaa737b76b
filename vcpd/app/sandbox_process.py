"""The simulated exchange as the daemon's child process, and how fast the daemon may ask it."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

import msgspec
import structlog

from vcpd.config import Configuration
from vcpd.core.errors import UnavailableError
from vcpd.kite.settings import LimitSettings
from vcpd.ports import Clock
from vcpd.runtime.clock import VirtualClock
from vcpd.sandbox.settings import RateSettings, SandboxSettings

START_TIMEOUT_S: Final = 60.0
GENERATION_TIMEOUT_S: Final = 0.03  # more for each symbol, which takes 2 ms of an idle core's time
STOP_TIMEOUT_S: Final = 5.0
READ_BYTES: Final = 8_192
MAX_LOGGED_CHARACTERS: Final = 1_000
PACKAGE_PARENT: Final = Path(__file__).resolve().parents[2]
QUICK_REQUESTS: Final = LimitSettings(
    quote_per_s=100, historical_per_s=500, other_per_s=100, all_gets_per_s=500
)
QUICK_ANSWERS: Final = RateSettings(
    quote_per_s=1_000, historical_per_s=1_000, other_per_s=1_000, all_gets_per_s=1_000
)
log = structlog.get_logger("vcpd.sandbox")


def answered_rates(configuration: Configuration) -> RateSettings:
    """How fast the daemon's own simulated exchange answers: [sandbox.limits], or without a wait.

    A first evening at the vendor's three histories a second takes over a minute, which nobody needs who
    only wants to look. `sandbox.real_limits` keeps the vendor's rates, and so does any limit that is set.
    """
    sandbox = configuration.sandbox
    are_set = configuration.limits != LimitSettings() or sandbox.limits != RateSettings()
    return sandbox.limits if are_set or sandbox.real_limits else QUICK_ANSWERS


def requested_rates(limits: LimitSettings, answered: RateSettings) -> LimitSettings:
    """Returns the rates of the daemon's requests: [limits], or quicker ones where none is set."""
    return QUICK_REQUESTS if answered == QUICK_ANSWERS and limits == LimitSettings() else limits


class SandboxProcess:
    """A running `vcpd sandbox` of our own; `url` is where it answers, `rates` how fast."""

    def __init__(self, process: asyncio.subprocess.Process, url: str, rates: RateSettings) -> None:
        self._process = process
        self._listeners = [
            asyncio.create_task(_log_output(pipe), name="sandbox-listen")
            for pipe in (process.stdout, process.stderr)
            if pipe is not None
        ]
        self.url = url
        self.rates = rates

    @classmethod
    async def start(cls, settings: SandboxSettings, clock: Clock, environment: Mapping[str, str]) -> Self:
        """Starts the process. UnavailableError with the child's own message when it does not answer."""
        process = await asyncio.create_subprocess_exec(
            *_command(clock),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=_with_package_path(environment),
            start_new_session=True,
        )
        try:
            return cls(process, await _read_url(process, settings), settings.limits)
        except BaseException:
            await _terminate(process)
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    async def wait(self) -> int:
        """Returns when the child has ended; gives its exit code."""
        return await self._process.wait()

    async def close(self) -> None:
        await _terminate(self._process)
        for listener in self._listeners:
            listener.cancel()
        await asyncio.gather(*self._listeners, return_exceptions=True)


def _with_package_path(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables, so that the child finds this very package.

    It does not look in the working folder: a checkout named vcpd there would be taken for the package.
    """
    paths = [str(PACKAGE_PARENT), environment.get("PYTHONPATH", "")]
    return {**environment, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def _command(clock: Clock) -> list[str]:
    command = [sys.executable, "-P", "-m", "vcpd", "sandbox", "--port", "0", "--child"]
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


async def _read_url(process: asyncio.subprocess.Process, settings: SandboxSettings) -> str:
    """Send the settings and wait for the line with the address."""
    output, pipe = process.stdout, process.stdin
    if output is None or pipe is None or process.stderr is None:
        raise UnavailableError("the sandbox exchange was started without its pipes")
    pipe.write(msgspec.json.encode(settings) + b"\n")
    await pipe.drain()
    line = b""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(START_TIMEOUT_S + GENERATION_TIMEOUT_S * settings.symbols):
            line = await output.readline()
    if not line:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        words = (await process.stderr.read()).decode(errors="replace").strip().splitlines()[-1:]
        raise UnavailableError(f"the sandbox exchange did not start: {' '.join(words) or 'no output'}")
    url: str = msgspec.json.decode(line)["url"]
    return url


async def _log_output(pipe: asyncio.StreamReader) -> None:
    """Into the log, until it closes: a full pipe blocks the child that writes to it.

    One record for a piece, not for a line: a child that babbles must not keep the daemon's loop busy.
    """
    while piece := await pipe.read(READ_BYTES):
        words = piece.decode(errors="replace").strip()
        log.warning("sandbox.output", text=words[:MAX_LOGGED_CHARACTERS], characters=len(words))


async def _terminate(process: asyncio.subprocess.Process) -> None:
    """Ask the process to end, then kill it."""
    for signal_it in (process.terminate, process.kill):
        if process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            signal_it()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await process.wait()
