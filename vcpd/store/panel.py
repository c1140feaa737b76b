"""From the stored bars to the panel: copied out by the server, arranged outside the event loop."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from vcpd.domain.instruments import StoredInstrument
from vcpd.domain.panel import PanelReference
from vcpd.ports import InstrumentStore, Workers
from vcpd.store.database import Database
from vcpd.store.named_queries import named_queries
from vcpd.store.panel_arrangement import Arrangement, PanelRow, arrange
from vcpd.store.panel_files import PanelFiles

SQL: Final = named_queries("panel")
COPY_NAME: Final = "bars.copy"
CALENDAR_DAYS_A_SESSION: Final = 1.5  # five sessions in seven days, and generous room for holidays
SPARE_DAYS: Final = 30

Universe = Callable[[StoredInstrument], bool]


def every_share(instrument: StoredInstrument) -> bool:
    """The widest universe: whatever is listed and no index."""
    return instrument.listed and not instrument.instrument.is_index


@dataclass(frozen=True, slots=True)
class PanelSelection:
    """What the panel shows: its rows, its index by symbol, and how many sessions it goes back."""

    benchmark: str
    in_universe: Universe = every_share
    n_sessions: int = 1300


class PostgresPanelStore:
    """`PanelStore`, see ports. A new `selection` counts from the next refresh on."""

    def __init__(
        self,
        database: Database,
        instruments: InstrumentStore,
        folder: Path,
        selection: PanelSelection,
        workers: Workers | None = None,
    ) -> None:
        self._database = database
        self._instruments = instruments
        self._files = PanelFiles(folder)
        self.selection = selection
        self._workers = workers
        self._turn = asyncio.Lock()

    async def current(self) -> PanelReference | None:
        return await asyncio.to_thread(self._files.current)

    async def refresh(self) -> PanelReference:
        """See ports; one refresh at a time."""
        async with self._turn:
            stored = await self._instruments.all()
            copied = self._files.folder / COPY_NAME
            try:
                return await self._run(await self._copy_out(copied, stored, self.selection))
            finally:
                copied.unlink(missing_ok=True)

    async def _copy_out(
        self, copied: Path, stored: Sequence[StoredInstrument], selection: PanelSelection
    ) -> Arrangement:
        """Write the bars of the window to `copied`; gives what is to be made of them."""
        rows = tuple(_row(one) for one in stored if selection.in_universe(one))
        benchmark = [one.id for one in stored if one.symbol == selection.benchmark]
        keys = sorted({row.id for row in rows}.union(benchmark))
        await asyncio.to_thread(copied.parent.mkdir, parents=True, exist_ok=True)
        async with self._database.transaction() as connection:
            newest: date | None = await connection.fetchval(SQL["newest_session"], keys)
            first = _window_start(newest, selection.n_sessions)
            await connection.copy_from_query(SQL["bars_since"], keys, first, output=copied, format="binary")
            excluded = await connection.fetch(SQL["exclusions"])
        return Arrangement(
            copied=str(copied),
            folder=str(self._files.folder),
            rows=rows,
            benchmark_id=benchmark[0] if benchmark else None,
            n_sessions=selection.n_sessions,
            exclusions={row["symbol"]: row["reason"] for row in excluded},
        )

    async def _run(self, arrangement: Arrangement) -> PanelReference:
        if self._workers is not None:
            return await self._workers.call(arrange, arrangement)
        return await asyncio.to_thread(arrange, arrangement)


def _row(one: StoredInstrument) -> PanelRow:
    return PanelRow(one.id, one.symbol, one.instrument.tick_size)


def _window_start(newest: date | None, n_sessions: int) -> date:
    """A day that lies before the last `n_sessions` sessions, whatever the calendar."""
    if newest is None:
        return date.max
    days = int(n_sessions * CALENDAR_DAYS_A_SESSION) + SPARE_DAYS
    return newest - timedelta(days=min(days, newest.toordinal() - 1))
