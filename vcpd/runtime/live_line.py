"""A terminal's last line that is rewritten in place, below what is logged.

Log records and the line share one stream: a record takes the line's place, and the line is drawn again
below it.
"""

import shutil
import threading
from collections.abc import Mapping
from typing import Final, TextIO

from vcpd.runtime.logs import ChosenSink

ERASE_LINE: Final = "\r\x1b[K"
DIM: Final = "\x1b[2m"
PLAIN: Final = "\x1b[0m"
MIN_COLUMNS: Final = 20
ELLIPSIS: Final = "…"


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
