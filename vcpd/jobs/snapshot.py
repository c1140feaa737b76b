"""The panel and the flags on its symbols, brought up to date together."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from vcpd.domain.panel import PanelReference
from vcpd.domain.quality import Flag, Rule
from vcpd.domain.runs import Progress
from vcpd.jobs.doubts import Doubting, Doubts, doubt
from vcpd.ports import Casualty, PanelStore, QuarantineStore, Workers


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Writes the panel, doubts its histories, and writes it again where that excludes other symbols."""

    panels: PanelStore
    workers: Workers
    quarantine: QuarantineStore
    measures: Doubting

    async def __call__(self, session: date, progress: Progress) -> dict[str, int]:
        """Gives counts: symbols in the panel, flags, symbols left out; `session` is the one worked for."""
        progress.begin(0, "the panel")
        known = await self.quarantine.flags()
        reference = await self.panels.refresh()
        if not reference.n_symbols:
            return {"panel_symbols": 0}
        symbols, flags = await self._doubts(reference, session, progress)
        departed = {flag.symbol for flag in known} - {*symbols}  # nobody judges them any more
        await self.quarantine.set_flags([*symbols, *sorted(departed)], flags)
        after = _excluded(await self.quarantine.flags())
        if after != _excluded(known):
            await self.panels.refresh()
        excluded = len({symbol for symbol, _ in after})
        return {"panel_symbols": reference.n_symbols, "flags": len(flags), "excluded": excluded}

    async def _doubts(
        self, reference: PanelReference, session: date, progress: Progress
    ) -> tuple[Sequence[str], Sequence[Flag]]:
        casualties: list[Casualty] = []
        progress.begin(reference.n_symbols, "the histories' quality")
        parts: Sequence[Doubts] = await self.workers.map_panel(
            doubt, reference, self.measures, progress=progress, casualties=casualties
        )
        flags = [flag for part in parts for flag in part.flags]
        flags += [
            Flag(lost.symbol, Rule.NOT_COMPUTABLE, session, lost.reason, excludes=True) for lost in casualties
        ]
        judged = [symbol for part in parts for symbol in part.symbols]
        return judged + [lost.symbol for lost in casualties], flags


def _excluded(flags: Iterable[Flag]) -> frozenset[tuple[str, str]]:
    return frozenset((flag.symbol, flag.reason) for flag in flags if flag.excludes)
