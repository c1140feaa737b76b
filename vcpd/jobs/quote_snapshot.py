"""Turn quotes into the bars of one session, or into live prices."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np

from vcpd.core.errors import NeedsLoginError, RetryableError, VcpdError
from vcpd.domain.bars import BAR_DTYPE, BarTable, RecordArray
from vcpd.domain.instruments import Quote, StoredInstrument, quote_batches, share_class
from vcpd.domain.live import LivePrices
from vcpd.domain.runs import Progress
from vcpd.jobs.facts import QuotedFacts
from vcpd.jobs.fetch import BarWriter, CollectStats
from vcpd.jobs.gaps import BarFinality
from vcpd.jobs.panel_refresh import UniversePanels
from vcpd.ports import Clock, MarketData, SessionSpan


class NothingTradedError(RetryableError):
    """The market answered, and none of its quotes is of the session."""


@dataclass(frozen=True, slots=True)
class QuoteSnapshotResult:
    """Symbols without a quote, and the error of a failed batch, if any."""

    unquoted: frozenset[str]
    error: VcpdError | None = None


@dataclass(frozen=True, slots=True)
class QuoteSnapshot:
    """Makes provisional bars of a session, running or closed, from the market's quotes."""

    market: MarketData
    writer: BarWriter
    panels: UniversePanels
    finality: BarFinality
    clock: Clock
    facts: QuotedFacts | None = None  # None: the market publishes facts in lists of its own

    async def __call__(self, session: date, progress: Progress) -> CollectStats:
        """Fetch the quotes of the whole universe and update the panel.

        Raises NothingTradedError when no quote is of `session`, and the error of any batch that failed.
        """
        chosen = await self.panels.universe.current()
        stats = CollectStats()
        result = await self.fetch(chosen.all_instruments, session, progress, stats)
        if result.error is not None:
            raise result.error
        await self.panels.refresh()
        return stats

    async def fetch(
        self,
        instruments: Sequence[StoredInstrument],
        session: date,
        progress: Progress,
        stats: CollectStats,
        *,
        traded: bool = False,
    ) -> QuoteSnapshotResult:
        """Merge the session's bars of `instruments`; a batch that fails does not stop the others.

        Raises NeedsLoginError, and NothingTradedError when no quote is of `session`, unless it is known that
        it was `traded`.
        """
        progress.begin(len(instruments), f"quotes of {session}")
        before = stats.counts["swept"]
        unquoted: set[str] = set()
        failure: VcpdError | None = None
        for part in quote_batches(instruments):
            try:
                unquoted |= await self._fetch_batch(part, session, stats)
            except NeedsLoginError:
                raise
            except VcpdError as error:
                failure = error
                unquoted |= {instrument.symbol for instrument in part}
            progress.advance(len(part))
        if failure is None and instruments and stats.counts["swept"] == before and not traded:
            raise NothingTradedError(
                f"none of {len(instruments)} quotes is of {session}: perhaps nothing was traded"
            )
        return QuoteSnapshotResult(frozenset(unquoted), failure)

    async def _fetch_batch(
        self, part: Sequence[StoredInstrument], session: date, stats: CollectStats
    ) -> frozenset[str]:
        """A symbol that the response lacks does not count as requested.

        Nor does a symbol before its own last price is made, which is later where futures of it trade; nor one
        without a trade until prices have settled.
        """
        now = self.clock.now()
        quotes = await self.market.quotes([instrument.symbol for instrument in part])
        table = bars_from_quotes(part, quotes, session)
        if self.facts is not None:
            self.facts.take(part, quotes, session)
        traded = {*table.instrument_id.tolist()}
        answered = [item for item in part if item.id in traded or (traded and item.symbol in quotes)]
        complete = [item.id for item in answered if self._is_complete(item, session, now, traded)]
        requested = dict.fromkeys(complete, SessionSpan(session, session))
        stats.counts["swept"] += len(table)
        stats.counts["without_bar"] += len(part) - len(table)
        symbols = {instrument.id: instrument.symbol for instrument in part}
        await self.writer.write_session(table, symbols, requested, now, stats)
        return frozenset(instrument.symbol for instrument in part if instrument.symbol not in quotes)

    def _is_complete(
        self, item: StoredInstrument, session: date, now: datetime, traded: Collection[int]
    ) -> bool:
        """Whether the quote contains the session's final values."""
        shares = share_class(item.instrument)
        has_traded = item.id in traded
        return (self.finality.has_ended if has_traded else self.finality.is_settled)(session, now, shares)


def bars_from_quotes(
    instruments: Sequence[StoredInstrument], quotes: Mapping[str, Quote], session: date
) -> BarTable:
    """Provisional bars from quotes of `session`; a suspended or untraded instrument gives none."""
    traded = [
        (item, quote)
        for item in instruments
        if (quote := quotes.get(item.symbol)) is not None and _has_bar(item, quote, session)
    ]
    records: RecordArray = np.empty(len(traded), BAR_DTYPE)
    records["session"] = np.datetime64(session, "D")
    for name in ("open", "high", "low", "volume"):
        records[name] = [getattr(quote, name) for _, quote in traded]
    records["close"] = [quote.last_price for _, quote in traded]
    records["provisional"] = True
    return BarTable(np.array([item.id for item, _ in traded], np.int64), records)


def _has_bar(instrument: StoredInstrument, quote: Quote, session: date) -> bool:
    traded = instrument.instrument.is_index or quote.volume != 0
    return traded and quote.day_text == session.isoformat()


def prices_from_quotes(quotes: Iterable[Quote], zone: ZoneInfo) -> LivePrices:
    """The quotes' prices and volumes; `zone` is that of their timestamps."""
    known = list(quotes)
    return LivePrices(
        tokens=np.array([quote.token for quote in known], np.int64),
        last_price=np.array([quote.last_price for quote in known], np.float64),
        volume=np.array([quote.volume for quote in known], np.float64),
        previous_close=np.array([quote.previous_close for quote in known], np.float64),
        traded_at=np.array([_parse_timestamp(quote.at, zone) for quote in known], "M8[s]"),
        open_high_low=np.array(
            [[getattr(quote, name) for quote in known] for name in ("open", "high", "low")], np.float64
        ).T,
    )


def _parse_timestamp(text: str, zone: ZoneInfo) -> np.datetime64:
    """The exchange's local time in UTC; NaT where the text is not a time."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return np.datetime64("NaT", "s")
    aware = at.replace(tzinfo=zone) if at.tzinfo is None else at
    return np.datetime64(aware.astimezone(UTC).replace(tzinfo=None), "s")
