"""Read access to the latest panel, and the explanation of one symbol's verdict."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import date

from vcpd.analysis.explain import explain
from vcpd.analysis.tasks import ScreenParams, screen_rows
from vcpd.analysis.thresholds import Thresholds
from vcpd.core.errors import BadInputError, RetryableError
from vcpd.domain.panel import Panel, PanelReference
from vcpd.domain.setups import Setup
from vcpd.ports import PanelStore, Workers
from vcpd.store.panel_files import open_panel


class PanelReader:
    """Answers questions about the latest snapshot."""

    def __init__(self, panels: PanelStore) -> None:
        self._panels = panels
        self._reference: PanelReference | None = None
        self._panel: Panel | None = None

    async def load(self) -> tuple[PanelReference, Panel]:
        """The snapshot now. RetryableError while there is none, or none that can be read."""
        try:
            return await self._load()
        except (OSError, ValueError, EOFError) as error:  # a power cut leaves files without contents
            raise RetryableError(
                f"the panel cannot be read ({error}): the next collect creates it again"
            ) from error

    async def load_if_any(self) -> None:
        """Load the newest snapshot for `last_loaded`; nothing while there is none that can be read."""
        with suppress(RetryableError):
            await self.load()

    async def _load(self) -> tuple[PanelReference, Panel]:
        reference = await self._panels.current()
        if reference is None:
            raise RetryableError("there is no panel yet: the next collect creates it")
        if self._panel is None or reference != self._reference:
            self._panel = await asyncio.to_thread(open_panel, reference)
            self._reference = reference
        return reference, self._panel

    @property
    def last_loaded(self) -> Panel | None:
        """The snapshot that was loaded last, without waiting."""
        return self._panel

    async def explain(
        self,
        workers: Workers,
        symbol: str,
        as_of: date | None,
        thresholds: Thresholds,
        *,
        elapsed: Callable[[date], float] = lambda _: 1.0,
    ) -> tuple[Setup, list[str]]:
        """The verdict on one symbol after any session, and its plain lines.

        `elapsed` is the share of a session that is over, for the volume of one that runs. KeyError for an
        unknown symbol, BadInputError for a day before the first bar.
        """
        reference, panel = await self.load()
        row = panel.row_of(symbol)
        if as_of is not None and panel.sessions[0].item() > as_of:
            raise BadInputError(f"as_of: the bars begin on {panel.sessions[0]}, was {as_of}")
        session = as_of or panel.sessions[-1].item()
        judging = ScreenParams(
            as_of=as_of, thresholds=thresholds, elapsed_share=elapsed(session), own_chain=True
        )
        (judged,) = await workers.map_panel(screen_rows, reference, judging, rows=range(row, row + 1))
        setup = judged.setups[0]
        return setup, explain(setup)


def last_session(panel: Panel, as_of: date | None) -> date:
    """The panel's last session on or before `as_of`; BadInputError for a day before the first bar."""
    known = panel if as_of is None else panel.until(as_of)
    if not len(known.sessions):
        raise BadInputError(f"as_of: the bars begin after {as_of}")
    last: date = known.sessions[-1].item()
    return last
