"""The digest's picture: the best new setups drawn by the workers, once for all channels."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Final

import structlog

from vcpd.analysis.chart_gallery import draw_row, gallery
from vcpd.app.panels import CurrentPanel
from vcpd.domain.alerts import Alert
from vcpd.domain.errors import VcpdError
from vcpd.domain.setups import Setup
from vcpd.ports import SetupStore, Workers

KEPT: Final = 4
DEADLINE_S: Final = 60.0

log = structlog.get_logger("vcpd.alerts")


@dataclass(slots=True)
class DigestPictures:
    """Gives an alert's picture, or None: an alert never waits for its picture in vain."""

    setups: SetupStore
    panel: CurrentPanel
    workers: Workers
    most: Callable[[], int]
    _drawn: OrderedDict[tuple[str, ...], bytes] = field(default_factory=OrderedDict)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def __call__(self, alert: Alert) -> bytes | None:
        wanted = tuple(_bases(alert))[: self.most()]
        if not wanted:
            return None
        question = (alert.key, *(symbol for symbol, _ in wanted))
        async with self._turn:
            if question not in self._drawn:
                try:
                    async with asyncio.timeout(DEADLINE_S):
                        picture = await self._draw(wanted)
                except (VcpdError, KeyError, TimeoutError) as error:
                    log.warning("alerts.no_picture", alert=alert.key, reason=str(error))
                    return None
                self._keep(question, picture)
            return self._drawn[question]

    async def _draw(self, wanted: tuple[tuple[str, date], ...]) -> bytes:
        reference, panel = await self.panel.look()
        charts: list[str] = []
        for symbol, anchor in wanted:
            setup = await self._verdict(symbol, anchor)
            row = panel.row_of(symbol)
            charts += await self.workers.map_panel(draw_row, reference, setup, rows=range(row, row + 1))
        return await self.workers.call(gallery, charts)

    async def _verdict(self, symbol: str, anchor: date) -> Setup:
        for base in await self.setups.base(symbol):
            if base.anchor_date == anchor and base.setup is not None:
                return base.setup
        raise KeyError(symbol)

    def _keep(self, question: tuple[str, ...], picture: bytes) -> None:
        self._drawn[question] = picture
        while len(self._drawn) > KEPT:
            self._drawn.popitem(last=False)


def _bases(alert: Alert) -> Iterator[tuple[str, date]]:
    for item in alert.items:
        yield str(item["symbol"]), date.fromisoformat(str(item["anchor"]))
