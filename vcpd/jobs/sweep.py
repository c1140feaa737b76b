"""The sweep: one session's bar of every instrument from a few quotes instead of thousands of candles."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np

from vcpd.domain.arrays import RecordArray
from vcpd.domain.bars import BAR_DTYPE, BarTable
from vcpd.domain.errors import NeedsLoginError, RetryableError, VcpdError
from vcpd.domain.instruments import Quote, StoredInstrument
from vcpd.domain.runs import Progress
from vcpd.jobs.finality import Finality
from vcpd.jobs.intake import Intake, Tally
from vcpd.jobs.universe import Universe
from vcpd.ports import Clock, MarketData, PanelStore, Span

QUOTES_AT_ONCE: Final = 500
DATE_LENGTH: Final = len("2025-06-30")


@dataclass(frozen=True, slots=True)
class Swept:
    """Symbols without a quote, and what kept quotes away, if anything did."""

    unquoted: frozenset[str]
    trouble: VcpdError | None = None


@dataclass(frozen=True, slots=True)
class Sweep:
    """Takes the provisional bars of a session, running or closed, from the market's quotes."""

    market: MarketData
    intake: Intake
    universe: Universe
    panels: PanelStore
    finality: Finality
    clock: Clock

    async def __call__(self, session: date, progress: Progress) -> Tally:
        """Sweep the whole universe and bring the panel up to date.

        Raises RetryableError when no quote is of `session`, and whatever kept a part of them away.
        """
        chosen = await self.universe.current()
        tally = Tally()
        swept = await self.take(chosen.everything, session, progress, tally)
        if swept.trouble is not None:
            raise swept.trouble
        await self.panels.refresh()
        return tally

    async def take(
        self,
        instruments: Sequence[StoredInstrument],
        session: date,
        progress: Progress,
        tally: Tally,
        *,
        traded: bool = False,
    ) -> Swept:
        """Merge the session's bars of `instruments`; a part whose quotes do not come keeps no other away.

        Raises NeedsLoginError, and RetryableError when no quote is of `session`, unless it is known that
        it was `traded`.
        """
        progress.begin(len(instruments), f"quotes of {session}")
        before = tally.counts["swept"]
        unquoted: set[str] = set()
        trouble: VcpdError | None = None
        for part in _parts(instruments):
            try:
                unquoted |= await self._take_part(part, session, tally)
            except NeedsLoginError:
                raise
            except VcpdError as error:
                trouble = error
                unquoted |= {one.symbol for one in part}
            progress.advance(len(part))
        if trouble is None and instruments and tally.counts["swept"] == before and not traded:
            raise RetryableError(f"none of {len(instruments)} quotes is of {session}: nothing was traded?")
        return Swept(frozenset(unquoted), trouble)

    async def _take_part(
        self, part: Sequence[StoredInstrument], session: date, tally: Tally
    ) -> frozenset[str]:
        """A symbol that the answer does not name has not been asked for: nothing is known of it.

        Nor is it of one without a trade so far, until the closing auction is over and prices have settled.
        """
        now = self.clock.now()
        quotes = await self.market.quotes([one.symbol for one in part])
        table = bars_of_quotes(part, quotes, session)
        told = {*table.instrument_id.tolist()}
        if len(table) and self.finality.is_settled(session, now):
            told |= {one.id for one in part if one.symbol in quotes}
        closed = self.finality.closed(session, now) == session
        asked = dict.fromkeys(told, Span(session, session)) if closed else {}
        tally.counts["swept"] += len(table)
        tally.counts["without_bar"] += len(part) - len(table)
        await self.intake.take_session(table, {one.id: one.symbol for one in part}, asked, now, tally)
        return frozenset(one.symbol for one in part if one.symbol not in quotes)


def bars_of_quotes(
    instruments: Sequence[StoredInstrument], quotes: Mapping[str, Quote], session: date
) -> BarTable:
    """Provisional bars from quotes of `session`; a suspended or untraded instrument gives none."""
    told = [
        (one, quote)
        for one in instruments
        if (quote := quotes.get(one.symbol)) is not None and _has_bar(one, quote, session)
    ]
    records: RecordArray = np.empty(len(told), BAR_DTYPE)
    records["session"] = np.datetime64(session, "D")
    for name in ("open", "high", "low", "volume"):
        records[name] = [getattr(quote, name) for _, quote in told]
    records["close"] = [quote.last_price for _, quote in told]
    records["provisional"] = True
    return BarTable(np.array([one.id for one, _ in told], np.int64), records)


def _has_bar(one: StoredInstrument, quote: Quote, session: date) -> bool:
    traded = one.instrument.is_index or quote.volume != 0
    return traded and quote.at[:DATE_LENGTH] == session.isoformat()


def _parts(instruments: Sequence[StoredInstrument]) -> Iterator[Sequence[StoredInstrument]]:
    for start in range(0, len(instruments), QUOTES_AT_ONCE):
        yield instruments[start : start + QUOTES_AT_ONCE]
