"""What `vcpd run` shows a person on a terminal: the page's address, first steps, present work."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

from vcpd import __version__
from vcpd.runtime.live_line import LiveLine
from vcpd.schedule.status import JobStatus, SchedulerStatus

REFRESH_INTERVAL_S: Final = 0.5
PROGRAM: Final = "vcpd"
SIMULATED: Final = "a simulated exchange of its own"
FIRST_STEPS: Final = ("status", "setups", "explain SYMBOL", "doctor")


def greeting(program: str, market: str, address: str) -> str:
    """Lines for the start: what runs, where its page is, which commands to try.

    `program` is how the command line was started, `market` the configured one.
    """
    followed = SIMULATED if market == "sandbox" else f"market {market}"
    command = program if Path(program).name == PROGRAM else PROGRAM
    steps = "   ".join(f"{command} {step}" for step in FIRST_STEPS)
    return (
        f"vcpd {__version__} follows {followed}\n"
        f"  page   {address}\n"
        f"  try    {steps}   (in another terminal)\n"
        f"  stop   Ctrl-C\n"
    )


def progress_line(status: SchedulerStatus, idle: Callable[[], str]) -> str:
    """Every running job with its progress, else what waits and why, else what `idle` gives."""
    running = [_running_text(job) for job in status.jobs if job.running is not None]
    if running:
        return "   ".join(running)
    waiting = [_waiting_text(job) for job in status.jobs if job.waiting]
    return "   ".join(waiting) or idle()


def _running_text(job: JobStatus) -> str:
    """Such as `collect: 120 of 202, candles up to 2026-11-27`."""
    running = job.running
    if running is None:
        return job.name
    counted = f"{running.done:,} of {running.total:,}" if running.total else ""
    detail = ", ".join(filter(None, (counted, running.note)))
    return f"{job.name}: {detail}" if detail else job.name


def _waiting_text(job: JobStatus) -> str:
    reason = job.waiting[0].waits_for
    return f"{job.name} waits: {reason}" if reason else f"{job.name} waits"


class TerminalProgress:
    """Updates the live line while the daemon runs."""

    def __init__(self, line: LiveLine, program: str, market: str) -> None:
        self._line = line
        self._program = program
        self._market = market

    def starting(self) -> None:
        """Print that the first start creates a database, before anything is open."""
        self._line.show("starting: database, market, worker processes")

    async def follow(self, address: str, progress: Callable[[], str]) -> None:
        """Greet, then show the progress; does not return."""
        self._line.write(greeting(self._program, self._market, address))
        while True:
            self._line.show(progress())
            await asyncio.sleep(REFRESH_INTERVAL_S)

    def end(self) -> None:
        """Take the line away."""
        self._line.show("")
