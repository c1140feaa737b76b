"""The job that reads the price levels of watch lists after a session and reports those that it reached, once.

The port of the stored lists stands here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, Protocol

import msgspec

from vcpd.analysis.price_levels import LevelTaskParams, read_levels
from vcpd.analysis.regime_task import IndexHistory
from vcpd.core.errors import RetryableError
from vcpd.domain.alerts import Alert, AlertKind, TemplateValue
from vcpd.domain.runs import Outcome, RunContext, RunResult
from vcpd.domain.watchlists import (
    LevelKind,
    LevelReading,
    ListedCompany,
    PriceLevel,
    WatchedPrices,
    WatchlistBook,
)
from vcpd.jobs.panel_refresh import UniversePanels
from vcpd.jobs.watch_events import SetupFactsReader, known_facts
from vcpd.ports import BarStore, Clock, Notifier, RunStore, Workers

NO_LEVELS: Final = "no price level is set: set some with `vcpd watchlist level`, or on the page"
RUNS_LOOKED_AT: Final = 30
HISTORY_DAYS: Final = 800  # of symbols that the panel lacks: enough for the longest average


class WatchlistStore(Protocol):
    """What a user keeps of symbols that he watches."""

    async def version(self) -> str:
        """Changes when anything of it does."""
        ...

    async def book(self) -> WatchlistBook:
        """Everything: lists and symbols by name, levels by symbol."""
        ...

    async def companies(self, symbols: Sequence[str]) -> Mapping[str, ListedCompany]:
        """Returns the companies of those `symbols` that are listed."""
        ...

    async def add(self, name: str, symbols: Sequence[str]) -> int:
        """Add symbols to a list, which begins with its first symbol; gives how many were new in it."""
        ...

    async def remove(self, name: str, symbols: Sequence[str] | None) -> int:
        """Removes symbols from a list, None: all; returns their number. A list without symbols is deleted."""
        ...

    async def rename(self, name: str, new_name: str) -> None:
        """Give a list another name; where that exists both become one."""
        ...

    async def put_level(self, level: PriceLevel) -> int:
        """Keep a level and give its id; the same level again replaces its note."""
        ...

    async def remove_levels(self, ids: Sequence[int]) -> int:
        """Remove levels; gives how many there were."""
        ...

    async def snooze(self, symbol: str, until: date | None) -> None:
        """Silence a symbol's levels for the sessions before `until`; None ends that."""
        ...


@dataclass(frozen=True, slots=True)
class LevelReader:
    """Reads levels and closes of watched symbols in a worker."""

    panels: UniversePanels
    workers: Workers
    bars: BarStore
    store: WatchlistStore

    async def __call__(
        self,
        book: WatchlistBook,
        session: date | None,
        symbols: Sequence[str] = (),
        *,
        after: date | None = None,
    ) -> WatchedPrices:
        """The levels of `book` and the closes of `symbols` after `session`; None: after the newest.

        A level that a session between `after` and `session` reached is read as of that one. RetryableError
        while there is no panel.
        """
        panel = await self.panels.current()
        if panel is None:
            raise RetryableError("there is no panel yet: the next collect creates it")
        asked = LevelTaskParams(as_of=session, after=after, symbols=symbols, levels=book.levels)
        (found,) = await self.workers.map_panel(read_levels, panel, asked, rows=range(1))
        histories = await self._histories(found, session)
        if histories:
            asked = msgspec.structs.replace(asked, histories=tuple(histories))
            (found,) = await self.workers.map_panel(read_levels, panel, asked, rows=range(1))
        return found

    async def _histories(self, found: WatchedPrices, session: date | None) -> list[IndexHistory]:
        """Bars of symbols with a level that the panel lacks: indices, funds, excluded shares."""
        lacking = {reading.level.symbol for reading in found.readings if reading.session is None}
        if not lacking:
            return []
        until = session or found.session
        first = None if until is None else until - timedelta(days=HISTORY_DAYS)
        companies = await self.store.companies(sorted(lacking))
        series = [await self.bars.series(company.instrument_id, first) for company in companies.values()]
        named = zip(companies, series, strict=True)
        return [IndexHistory(symbol, own.records.tobytes()) for symbol, own in named if len(own)]


@dataclass(frozen=True, slots=True)
class ReportReachedLevels:
    """Reads every level after `context.session` and publishes those that it reached.

    So are those of sessions since the last run that was done. A level that the live watch reported in the
    session has the same key: the outbox keeps it once.
    """

    store: WatchlistStore
    read: LevelReader
    runs: RunStore
    notifier: Notifier
    clock: Clock
    link: Callable[[str], str]  # the page's address of a symbol
    facts: SetupFactsReader | None = None

    async def __call__(self, context: RunContext) -> RunResult:
        book = await self.store.book()
        if not book.levels:
            return RunResult(outcome=Outcome.SKIPPED, reason=NO_LEVELS)
        context.progress.begin(0, "reading price levels")
        prices = await self.read(book, context.session, after=await self._last_done(context))
        if prices.session != context.session:
            raise RetryableError(f"the newest bars are of {prices.session}: collect {context.session} first")
        reached = [reading for reading in prices.readings if reading.is_new]
        audible = [reading for reading in reached if not _is_snoozed(reading, book)]
        now = self.clock.now()
        facts = await known_facts(self.facts, context.session, {reading.level.symbol for reading in audible})
        alerts = [self._alert(reading, book, now) for reading in audible]
        await self.notifier.publish([with_symbol_facts(alert, facts) for alert in alerts])
        counts = {"levels": len(book.levels), "reached": len(reached), "snoozed": len(reached) - len(audible)}
        return RunResult(counts=counts)

    def _alert(self, reading: LevelReading, book: WatchlistBook, now: datetime) -> Alert:
        assert reading.session is not None
        assert reading.close is not None
        return level_alert(reading, book, reading.close, reading.session, now, link=self.link)

    async def _last_done(self, context: RunContext) -> date:
        """The last session before this one whose levels were read; the day before where there is none."""
        done = [
            run.session
            for run in await self.runs.recent(RUNS_LOOKED_AT, context.job)
            if run.outcome is Outcome.DONE and run.session is not None and run.session < context.session
        ]
        return max(done, default=context.session - timedelta(1))


def _is_snoozed(reading: LevelReading, book: WatchlistBook) -> bool:
    return reading.session is not None and book.is_snoozed(reading.level.symbol, reading.session)


def level_alert(  # noqa: PLR0913 - what was reached, where, at which price and when
    reading: LevelReading,
    book: WatchlistBook,
    price: float,
    session: date,
    now: datetime,
    *,
    link: Callable[[str], str],
    provisional: bool = False,
) -> Alert:
    """The alert for a level that `price` reached in `session`; one key a level and session.

    A provisional one is measured against the value that a trade of the running session had to pass.
    """
    value = reading.next_value if provisional else reading.value
    return Alert(
        kind=AlertKind.PRICE_LEVEL,
        key=f"price_level:{reading.id}:{session}",
        at=now,
        session=session,
        symbol=reading.level.symbol,
        urgent=provisional,
        provisional=provisional,
        facts={
            "level": reached_text(reading.level, is_above=price > (value or 0.0)),
            "price": price,
            "value": value,
            "lists": ", ".join(book.lists_of(reading.level.symbol)) or None,
            "note": reading.level.note or None,
            "url": link(reading.level.symbol),
        },
    )


def with_symbol_facts(alert: Alert, facts: Mapping[str, Mapping[str, TemplateValue]]) -> Alert:
    """The alert with what is known of its symbol beside its own facts, which count where both have a name."""
    return msgspec.structs.replace(alert, facts={**facts.get(alert.symbol or "", {}), **alert.facts})


def reached_text(level: PriceLevel, *, is_above: bool) -> str:
    """The level in words; an average with the side on which the price is now."""
    if level.kind is not LevelKind.CROSSES:
        return level.text
    return f"crosses {'above' if is_above else 'below'} its {level.average}-session average"
