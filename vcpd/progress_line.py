"""The progress of work over symbols as one line, for terminals and notebooks: what is done, rate, time left.

A study's work is counted in cells, whose number is known when it starts: each part of the symbols brings
every cell as far.
"""

import html
import sys
from collections.abc import Iterator, Sequence
from math import ceil
from time import monotonic
from typing import Any, Final, Protocol, runtime_checkable

MINUTE_S: Final = 60
HOUR_S: Final = 3600
NOTEBOOK_MODULE: Final = "ipykernel.zmqshell"


@runtime_checkable
class CellWork(Protocol):
    """Parameters of a task that evaluates so many cells."""

    @property
    def cells(self) -> int: ...


def cells_of(parameters: object) -> int:
    """How many cells a task evaluates; 0 for one that evaluates none."""
    return parameters.cells if isinstance(parameters, CellWork) else 0


def work_text(cells: int) -> str:
    """What is counted: `1,000 cells, symbols` of a study, else `symbols`."""
    return f"{cells:,} cells, symbols" if cells else "symbols"


def pace_text(done: int, total: int, elapsed_s: float, cells: int = 0) -> str:
    """`12.5 cells/s, 0:01:10 left`, in symbols where no cells are counted; empty until some are done."""
    if not (done and total and elapsed_s > 0):
        return ""
    rate = (cells or total) * done / total / elapsed_s
    left = elapsed_s * (total - done) / done
    return f"{rate:,.1f} {'cells' if cells else 'symbols'}/s, {clock_text(left)} left"


def clock_text(seconds: float) -> str:
    """`0:01:10`, rounded up to whole seconds."""
    whole = ceil(seconds)
    return f"{whole // HOUR_S}:{whole % HOUR_S // MINUTE_S:02d}:{whole % MINUTE_S:02d}"


class NotebookProgress:
    """A bar in the output of a notebook's cell that disappears at the end; elsewhere it shows nothing.

    The displayed HTML is replaced, by any thread: no widgets need to be installed.
    """

    def __init__(self, *, is_shown: bool = True) -> None:
        """Show an empty line in the cell that runs."""
        self._handle: Any = _displayed() if is_shown and NOTEBOOK_MODULE in sys.modules else None

    def track(self, parts: Sequence[range], cells: int) -> Iterator[range]:
        """Give each part of the symbols; it is done when the next is asked for."""
        begin, done, total = monotonic(), 0, sum(map(len, parts))
        for part in parts:
            self._replace(progress_html(done, total, monotonic() - begin, cells))
            yield part
            done += len(part)
        self._replace("")

    def _replace(self, text: str) -> None:
        if self._handle is not None:
            from IPython.display import HTML  # noqa: PLC0415 - a notebook has it, a script need not

            self._handle.update(HTML(text))  # type: ignore[no-untyped-call]


def _displayed() -> Any:
    """An empty output of the running cell, whose content can be replaced."""
    from IPython.display import HTML, display  # noqa: PLC0415 - a notebook has it, a script need not

    return display(HTML(""), display_id=True)  # type: ignore[no-untyped-call]


def progress_html(done: int, total: int, elapsed_s: float, cells: int) -> str:
    """A bar with what is counted, rate and time left."""
    counted = f"{work_text(cells)} {done:,} of {total:,}"
    line = ", ".join(filter(None, (counted, pace_text(done, total, elapsed_s, cells))))
    return f'<progress value="{done}" max="{total}"></progress> {html.escape(line)}'
