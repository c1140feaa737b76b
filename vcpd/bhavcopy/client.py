"""Market data from the daily bhavcopy files of NSE: no account, no login, end-of-day data.

A session's bars are there once its file is published, some two hours after the close. Symbols are
written as by the Kite client, `NSE:INFY`, with the series behind a dash where it is not the ordinary one.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from math import nan, prod
from pathlib import Path
from typing import Final, NamedTuple

import aiohttp
import numpy as np
import structlog
from msgspec import Struct

from vcpd.bhavcopy.action_files import ActionFiles, KnownActions
from vcpd.bhavcopy.action_reports import ActionReports
from vcpd.bhavcopy.archive import BhavcopyArchive, Downloader, FolderArchive, WebArchive
from vcpd.bhavcopy.corporate_actions import AdjustedSeries, action_factor, adjust
from vcpd.bhavcopy.history import INDEX_PREFIX, BarHistory
from vcpd.bhavcopy.layouts import INDEX_SERIES
from vcpd.bhavcopy.listings import ListingPeriod, instrument_token
from vcpd.bhavcopy.published_facts import FactsReader
from vcpd.bhavcopy.settings import BhavcopySettings
from vcpd.bhavcopy.symbol_lists import FundList, UnderlyingList
from vcpd.bhavcopy.sync import BhavcopySync, Compute, ExchangeClock, FileEvidence
from vcpd.core.errors import RetryableError
from vcpd.domain.bars import BarSeries, DateArray
from vcpd.domain.exchange import Exchange
from vcpd.domain.facts import SymbolFacts
from vcpd.domain.instruments import EQUITY_SERIES, Instrument, Quote, is_fund_isin, is_underlying
from vcpd.domain.market_days import MarketLook
from vcpd.domain.quality_rules import QualityFlag, QualityRule

DEFAULT_SERIES: Final = EQUITY_SERIES[0]
_log = structlog.get_logger(__name__)
SECONDS_PER_MIN: Final = 60
CONTRADICTED: Final = "the price did not move like this at the ex-date: not applied"


class NoLoginState(StrEnum):
    """The only state."""

    NOT_NEEDED = "not_needed"


class NoLoginStatus(Struct, frozen=True):
    """Login status for /status."""

    state: NoLoginState = NoLoginState.NOT_NEEDED
    reason: str = ""

    @property
    def login_due(self) -> bool:
        return False


class NoLoginSession:
    """Session of a market that needs no login."""

    def status(self) -> NoLoginStatus:
        return NoLoginStatus()


class PublishedLists(NamedTuple):
    """Symbols that lists of the exchange name beside the daily files; empty where a list cannot be had."""

    underlyings: frozenset[str]  # what futures stand for
    funds: frozenset[str]


@dataclass(frozen=True, slots=True)
class EodQuotes:
    """Answers for the session that closed at `closed`, the exchange's local time.

    On the morning of an ex-date the history is already adjusted, and so is what is quoted of the day before.
    """

    history: BarHistory
    closed: datetime
    actions: KnownActions
    today: date
    exchange: Exchange

    def quotes(self, symbols: Sequence[str]) -> dict[str, Quote]:
        """Quotes by symbol; absent where nothing was traded."""
        found = ((symbol, self._quote(symbol)) for symbol in dict.fromkeys(symbols))
        return {symbol: quote for symbol, quote in found if quote is not None}

    def _quote(self, symbol: str) -> Quote | None:
        key = self._history_symbol(symbol)
        rows = self.history.rows(key)
        session = self.closed.date()
        at = int(np.searchsorted(rows["session"], np.datetime64(session, "D")))
        if at == len(rows) or rows["session"][at].item() != session:
            return None
        row, scale = rows[at], self._adjustment_factor(key)
        return Quote(
            symbol=symbol,
            token=instrument_token(self.history.listings.isin_of(key), key),
            at=f"{self.closed:%Y-%m-%d %H:%M:%S}",
            last_price=float(row["close"]) * scale,
            open=float(row["open"]) * scale,
            high=float(row["high"]) * scale,
            low=float(row["low"]) * scale,
            previous_close=float(row["previous_close"]) * scale,
            volume=float(row["volume"]) / scale,
        )

    def _adjustment_factor(self, key: str) -> float:
        """What actions since the close multiply its prices by."""
        listed = self.actions.of_share(self.history.listings.symbol_periods(key))
        due = [action for action in listed if self.closed.date() < action.ex_date <= self.today]
        if not due:
            return 1.0
        before = float(self.history.rows(key)["close"][-1])
        return prod(action_factor(action, before, nan) for action in due)

    def _history_symbol(self, symbol: str) -> str:
        """The history's name for a quoted one: a share, a share of another series, or an index."""
        if not symbol.startswith(self.exchange.prefix):
            return ""
        name = symbol.removeprefix(self.exchange.prefix)
        stem, _, series = name.rpartition("-")
        candidates = (name, stem if series in EQUITY_SERIES else "", f"{INDEX_PREFIX}{name}")
        return next((key for key in candidates if key in self.history), "")


class BhavcopyClient:
    """Implements `ports.MarketData`."""

    def __init__(  # noqa: PLR0913 - the last three are keywords
        self,
        files: BhavcopySync,
        actions: ActionFiles,
        listed_sessions: int,
        time: ExchangeClock,
        exchange: Exchange,
        *,
        facts: FactsReader,
        day_evidence: FileEvidence,
        underlyings: UnderlyingList,
        funds: FundList,
    ) -> None:
        self._exchange = exchange
        self._facts, self._day_evidence = facts, day_evidence
        self._underlyings, self._funds = underlyings, funds
        self._sync = files
        self._actions = actions
        self._listed_sessions = listed_sessions
        self._time = time
        self._logged_contradictions: set[tuple[str, date]] = set()

    async def instruments(self) -> Sequence[Instrument]:
        """The shares and indices that one of the last files names, in the order of their symbols."""
        wanted = self._last_sessions(self._time.last_closed())
        try:
            history = await self._sync.ensure_sessions(wanted)
        except RetryableError:
            history = await self._sync.current_history()
            if not len(np.intersect1d(wanted, history.sessions)):
                raise
        underlyings = await self._underlyings.names(self._time.last_closed())
        lists = PublishedLists(underlyings, await self._funds.symbols(wanted.tolist()))
        return await asyncio.to_thread(_listed, history, wanted[0].item(), self._exchange, lists)

    async def daily_bars(self, instrument: Instrument, first: date, last: date) -> BarSeries:
        """The bars of [first, last], adjusted to today's number of shares; none of a session that runs.

        Raises RetryableError while a file of these sessions may still be published.
        """
        sessions = self._time.closed_sessions(first, last)
        if not len(sessions):
            return BarSeries.empty(instrument.symbol)
        history = await self._sync.ensure_sessions(sessions)
        since: date = sessions[0].item()
        actions = KnownActions() if instrument.is_index else await self._actions.actions_since(since)
        adjusted = await asyncio.to_thread(self._adjusted, history, instrument, actions)
        self._log_contradictions(adjusted)
        return _between(adjusted.series, first, last)

    async def quotes(self, symbols: Sequence[str]) -> dict[str, Quote]:
        """The bars of the last closed session as quotes, in today's number of shares.

        Who did not trade in it is absent. Raises RetryableError while its file is not there.
        """
        session = self._time.last_closed()
        history = await self._sync.ensure_sessions(np.array([session], "M8[D]"))
        actions = await self._actions.actions_since(session)
        eod_quotes = EodQuotes(
            history, self._time.closed_at(session), actions, self._time.today(), self._exchange
        )
        return await asyncio.to_thread(eod_quotes.quotes, symbols)

    async def facts(self, session: date) -> Sequence[SymbolFacts]:
        """What the files of `session` say of each listed share beside its bars; raises as `instruments`."""
        listed = await self.instruments()
        names = [(_history_symbol(listing), listing.symbol) for listing in listed if not listing.is_index]
        return (await self._facts.read(session)).of_symbols(names)

    async def day_evidence(self, day: date) -> MarketLook:
        """What the archive shows of `day`. Raises RetryableError where it does not answer."""
        return await self._day_evidence.day_evidence(day)

    async def known_actions(self, since: date) -> KnownActions:
        """The corporate actions from `since` on, of all sources. Raises RetryableError where none answers."""
        return await self._actions.actions_since(since)

    async def history_flags(self, since: date) -> Sequence[QualityFlag]:
        """Flags for listed shares with an action from `since` on that their history is not adjusted for.

        Raises as `daily_bars` does.
        """
        actions = await self._actions.actions_since(since)
        history = await self._sync.current_history()
        listed = await self.instruments()
        return await asyncio.to_thread(self._flags, history, listed, actions, since)

    def _flags(
        self, history: BarHistory, listed: Sequence[Instrument], actions: KnownActions, since: date
    ) -> list[QualityFlag]:
        return [
            flag
            for instrument in listed
            if not instrument.is_index
            for flag in self._share_flags(history, instrument, actions)
            if since <= flag.session <= self._time.today()
        ]

    def _share_flags(
        self, history: BarHistory, instrument: Instrument, actions: KnownActions
    ) -> Iterator[QualityFlag]:
        """One flag for the latest action that the prices contradict or that is unclear."""
        adjusted = self._adjusted(history, instrument, actions)
        for action in adjusted.contradicted:
            yield _action_flag(instrument.symbol, action.ex_date, f"{action.subject}: {CONTRADICTED}")
        for doubt in actions.unclear_of_share(history.listings.symbol_periods(_history_symbol(instrument))):
            if doubt.ex_date is not None:
                reason = f"{doubt.subject}: {doubt.reason}"
                yield _action_flag(instrument.symbol, doubt.ex_date, reason, excludes=not doubt.is_minor)

    def _last_sessions(self, last: date) -> DateArray:
        calendar, before = self._time.calendar, self._listed_sessions - 1
        return calendar.sessions(calendar.previous(last, before) if before else last, last)

    def _adjusted(self, history: BarHistory, instrument: Instrument, actions: KnownActions) -> AdjustedSeries:
        key = _history_symbol(instrument)
        series = history.series(key, instrument.symbol)
        own = actions.of_share(history.listings.symbol_periods(key))
        return adjust(series, own, self._time.today()) if own else AdjustedSeries(series)

    def _log_contradictions(self, adjusted: AdjustedSeries) -> None:
        """Log once for each action that contradicts the prices that it was not applied."""
        for action in adjusted.contradicted:
            if (action.symbol, action.ex_date) not in self._logged_contradictions:
                self._logged_contradictions.add((action.symbol, action.ex_date))
                _log.warning(
                    "action.contradicted",
                    symbol=adjusted.series.symbol,
                    ex_date=str(action.ex_date),
                    subject=action.subject,
                    reason=CONTRADICTED,
                )


def _action_flag(symbol: str, ex_date: date, reason: str, *, excludes: bool = True) -> QualityFlag:
    return QualityFlag(symbol, QualityRule.ACTION_NOT_APPLIED, ex_date, reason, excludes)


def _listed(history: BarHistory, since: date, exchange: Exchange, lists: PublishedLists) -> list[Instrument]:
    identities = history.listings
    found = [
        _instrument(period, identities.isin_of(period.symbol), exchange, lists)
        for period in identities.listed(since)
    ]
    return sorted(found, key=lambda instrument: instrument.symbol)


def _instrument(period: ListingPeriod, isin: str, exchange: Exchange, lists: PublishedLists) -> Instrument:
    name = period.symbol.removeprefix(INDEX_PREFIX)
    token = instrument_token(isin, period.symbol)
    if period.series == INDEX_SERIES:
        segment, series, company = exchange.index_segment, INDEX_SERIES, name
    else:
        segment, series, company = exchange.name, period.series, period.company
    suffix = "" if series in (DEFAULT_SERIES, INDEX_SERIES) else f"-{series}"
    return Instrument(
        symbol=f"{exchange.prefix}{name}{suffix}",
        token=token,
        name=company,
        tick_size=exchange.tick_size,
        segment=segment,
        series=series,
        is_fund=is_fund_isin(isin) or (series != INDEX_SERIES and name in lists.funds),
        has_futures=None if series == INDEX_SERIES else is_underlying(name, lists.underlyings),
    )


def _history_symbol(instrument: Instrument) -> str:
    """The symbol that the history uses for it."""
    name = instrument.trading_symbol
    return f"{INDEX_PREFIX}{name}" if instrument.is_index else name.removesuffix(f"-{instrument.series}")


def _between(series: BarSeries, first: date, last: date) -> BarSeries:
    start = int(np.searchsorted(series.sessions, np.datetime64(first, "D")))
    return BarSeries(series.symbol, series.records[start:]).until(last)


def create_client(  # noqa: PLR0913 - the optional one is a keyword
    settings: BhavcopySettings,
    folder: Path,
    time: ExchangeClock,
    exchange: Exchange,
    http: aiohttp.ClientSession,
    *,
    compute: Compute | None = None,
) -> BhavcopyClient:
    """Create the client; it keeps its files below `folder`. `settings.folder` must be absolute if set."""
    download = Downloader(http, settings)
    own = Path(settings.folder) if settings.folder else None
    ask_again_s = settings.retry_missing_min * SECONDS_PER_MIN
    archive: BhavcopyArchive
    if own is None:
        archive = WebArchive(settings.archive_root, folder / "files", download, time.clock, ask_again_s)
    else:
        archive = FolderArchive(own, time.clock, ask_again_s)
    files = BhavcopySync(archive, folder / "history", settings.gap_after_days, time, compute)
    lists = [folder / "actions", *([own] if own else [])]
    reports = ActionReports(archive, time, ask_again_s, compute or asyncio.to_thread)
    facts = FactsReader(archive, compute or asyncio.to_thread)
    underlyings = UnderlyingList(archive, compute or asyncio.to_thread)
    funds = FundList(archive, compute or asyncio.to_thread)
    actions = ActionFiles(lists, settings, time, None if own else download, reports)
    evidence, window = FileEvidence(archive, time), settings.listing_window_sessions
    return BhavcopyClient(
        files,
        actions,
        window,
        time,
        exchange,
        facts=facts,
        day_evidence=evidence,
        underlyings=underlyings,
        funds=funds,
    )
