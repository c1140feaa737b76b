"""What `vcpd run` shows a person on a terminal: the page's address, first steps, and present work.

The present work is the terminal's last line, which is rewritten in place below what is logged. Log records
and the line share one stream: a record takes the line's place, and the line is drawn again below it.
"""

import asyncio
import shutil
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TextIO

from vcpd import __version__
from vcpd.runtime.logs import ChosenSink
from vcpd.schedule.status import JobStatus, SchedulerStatus

ERASE_LINE: Final = "\r\x1b[K"
DIM: Final = "\x1b[2m"
PLAIN: Final = "\x1b[0m"
MIN_COLUMNS: Final = 20
ELLIPSIS: Final = "…"
REFRESH_INTERVAL_S: Final = 0.5
PROGRAM: Final = "vcpd"
SIMULATED: Final = "a simulated exchange of its own"
FIRST_STEPS: Final = ("status", "setups", "explain SYMBOL", "doctor")


class LiveLine:
    """A stream for log records with one line below them; safe to use from any thread.

    It takes whole lines: what is written must end with a line's end, as log records do.
    """

    def __init__(self, stream: TextIO, *, colours: bool) -> None:
        self._stream = stream
        self._colours = colours
        self._text = ""
        self._lock = threading.Lock()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    def flush(self) -> None:
        self._stream.flush()

    def write(self, text: str) -> int:
        """Write `text` above the line; gives its length."""
        with self._lock:
            self._stream.write(f"{ERASE_LINE}{text}{self._drawn()}" if self._text else text)
            self._stream.flush()
        return len(text)

    def show(self, text: str) -> None:
        """Make `text` the line, cut to the terminal's width; an empty text takes the line away."""
        shown = _cut(text)
        with self._lock:
            if shown != self._text:
                self._text = shown
                self._stream.write(ERASE_LINE + self._drawn())
                self._stream.flush()

    def _drawn(self) -> str:
        return f"{DIM}{self._text}{PLAIN}" if self._colours and self._text else self._text


def _cut(text: str) -> str:
    """One line of the terminal: a longer text would wrap, and could not be erased."""
    line = " ".join(text.split())
    columns = max(MIN_COLUMNS, shutil.get_terminal_size().columns) - 1
    return line if len(line) <= columns else line[: columns - 1] + ELLIPSIS


def is_live_terminal(sink: ChosenSink, stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether a person reads `stream` on a terminal that can rewrite a line."""
    return sink == "console" and stream.isatty() and environment.get("TERM", "dumb") != "dumb"


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
