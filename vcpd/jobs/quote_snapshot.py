"""Turn quotes into the bars of one session, or into live prices."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from vcpd.core.errors import NeedsLoginError, RetryableError, VcpdError
from vcpd.domain.bars import BAR_DTYPE, BarTable, RecordArray
from vcpd.domain.instruments import Quote, StoredInstrument
from vcpd.domain.live import LivePrices
from vcpd.domain.runs import Progress
from vcpd.jobs.gaps import BarFinality
from vcpd.jobs.ingest import BarWriter, CollectStats
from vcpd.jobs.universe import Universe
from vcpd.ports import Clock, MarketData, PanelStore, SessionSpan

QUOTE_BATCH_SIZE: Final = 500
ISO_DATE_LENGTH: Final = len("2025-06-30")


@dataclass(frozen=True, slots=True)
class QuoteSnapshotResult:
    """Symbols without a quote, and what kept quotes away, if anything did."""

    unquoted: frozenset[str]
    error: VcpdError | None = None


@dataclass(frozen=True, slots=True)
class QuoteSnapshot:
    """Takes the provisional bars of a session, running or closed, from the market's quotes."""

    market: MarketData
    writer: BarWriter
    universe: Universe
    panels: PanelStore
    finality: BarFinality
    clock: Clock

    async def __call__(self, session: date, progress: Progress) -> CollectStats:
        """Sweep the whole universe and bring the panel up to date.

        Raises RetryableError when no quote is of `session`, and whatever kept a part of them away.
        """
        chosen = await self.universe.current()
        tally = CollectStats()
        swept = await self.fetch(chosen.all_instruments, session, progress, tally)
        if swept.error is not None:
            raise swept.error
        await self.panels.refresh()
        return tally

    async def fetch(
        self,
        instruments: Sequence[StoredInstrument],
        session: date,
        progress: Progress,
        tally: CollectStats,
        *,
        traded: bool = False,
    ) -> QuoteSnapshotResult:
        """Merge the session's bars of `instruments`; a part whose quotes do not come keeps no other away.

        Raises NeedsLoginError, and RetryableError when no quote is of `session`, unless it is known that
        it was `traded`.
        """
        progress.begin(len(instruments), f"quotes of {session}")
        before = tally.counts["swept"]
        unquoted: set[str] = set()
        trouble: VcpdError | None = None
        for part in _batches(instruments):
            try:
                unquoted |= await self._fetch_batch(part, session, tally)
            except NeedsLoginError:
                raise
            except VcpdError as error:
                trouble = error
                unquoted |= {one.symbol for one in part}
            progress.advance(len(part))
        if trouble is None and instruments and tally.counts["swept"] == before and not traded:
            raise RetryableError(f"none of {len(instruments)} quotes is of {session}: nothing was traded?")
        return QuoteSnapshotResult(frozenset(unquoted), trouble)

    async def _fetch_batch(
        self, part: Sequence[StoredInstrument], session: date, tally: CollectStats
    ) -> frozenset[str]:
        """A symbol that the answer does not name has not been asked for: nothing is known of it.

        Nor is it of one without a trade so far, until the closing auction is over and prices have settled.
        """
        now = self.clock.now()
        quotes = await self.market.quotes([one.symbol for one in part])
        table = bars_from_quotes(part, quotes, session)
        told = {*table.instrument_id.tolist()}
        if len(table) and self.finality.is_settled(session, now):
            told |= {one.id for one in part if one.symbol in quotes}
        closed = self.finality.last_closed(session, now) == session
        asked = dict.fromkeys(told, SessionSpan(session, session)) if closed else {}
        tally.counts["swept"] += len(table)
        tally.counts["without_bar"] += len(part) - len(table)
        await self.writer.write_session(table, {one.id: one.symbol for one in part}, asked, now, tally)
        return frozenset(one.symbol for one in part if one.symbol not in quotes)


def bars_from_quotes(
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
    return traded and quote.at[:ISO_DATE_LENGTH] == session.isoformat()


def _batches(instruments: Sequence[StoredInstrument]) -> Iterator[Sequence[StoredInstrument]]:
    for start in range(0, len(instruments), QUOTE_BATCH_SIZE):
        yield instruments[start : start + QUOTE_BATCH_SIZE]


def prices_from_quotes(quotes: Iterable[Quote], zone: ZoneInfo) -> LivePrices:
    """The quotes' prices and volumes; `zone` is that of their timestamps."""
    known = list(quotes)
    return LivePrices(
        tokens=np.array([one.token for one in known], np.int64),
        last_price=np.array([one.last_price for one in known], np.float64),
        volume=np.array([one.volume for one in known], np.float64),
        previous_close=np.array([one.previous_close for one in known], np.float64),
        traded_at=np.array([_parse_timestamp(one.at, zone) for one in known], "M8[s]"),
    )


def _parse_timestamp(text: str, zone: ZoneInfo) -> np.datetime64:
    """The exchange's wall time in UTC; NaT where it is none."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return np.datetime64("NaT", "s")
    aware = at.replace(tzinfo=zone) if at.tzinfo is None else at
    return np.datetime64(aware.astimezone(UTC).replace(tzinfo=None), "s")
