"""Evaluates an account after a session, and the job that reports sell rules that began to fire, once.

The fills are read, a worker computes, the report is stored. The ports of what is read and written stand here.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Protocol

import msgspec

from vcpd.analysis.position_task import PositionTaskParams, judge_account
from vcpd.analysis.positions import PositionSettings
from vcpd.analysis.regime_task import IndexHistory
from vcpd.core.errors import RetryableError
from vcpd.domain.alerts import Alert, AlertKind
from vcpd.domain.calendar import TradingCalendar
from vcpd.domain.portfolio import CurvePoint, Fill, Lot, PositionTexts, Side, StoredFill
from vcpd.domain.position_notes import CompanyNote, JudgedAccount, PurchaseNote, RuleFiring
from vcpd.domain.runs import Outcome, RunContext, RunResult
from vcpd.jobs.panel_refresh import UniversePanels
from vcpd.ports import BarStore, Clock, Notifier, Workers

OLD_HOLDINGS: Final = (
    "the broker does not report the holdings now: those without stored trades are of the report before"
)
NOTHING_HELD: Final = "no purchases are stored: add them with `vcpd positions add` or `vcpd positions import`"


class FillStore(Protocol):
    """What the user bought and sold."""

    async def add(
        self,
        fills: Sequence[Fill],
        *,
        isins: Mapping[str, str] | None = None,
        later_ratios: Sequence[float] | None = None,
    ) -> int:
        """Keep the fills, all or none; a known key stays as it is, but for an ISIN that it lacks.

        Gives how many are new. `isins` are given by symbol.

        `later_ratios` are, for each fill, the shares of now that one of its day is, where its day's bars are
        known to be restated.
        """
        ...

    async def all(self) -> Sequence[StoredFill]:
        """Every fill, oldest first, under its company's present symbol; notes closes that are new."""
        ...

    async def remove(self, ids: Sequence[int]) -> int:
        """Forget these fills; gives how many there were."""
        ...

    async def set_stops(self, stops: Mapping[int, float | None]) -> int:
        """Set initial stops by purchase id, at the prices of their days; gives how many there were."""
        ...

    async def set_rules(self, ids: Sequence[int], rules: str) -> int:
        """Set the set of sell rules of purchases by their ids; gives how many there were."""
        ...

    async def set_notes(self, ids: Sequence[int], note: str) -> int:
        """Replace the notes of fills by their ids; an empty one removes them. Gives how many there were."""
        ...


class UntradedHoldings(Protocol):
    """Reads the broker's holdings of companies without any stored trade."""

    async def untraded(self) -> Sequence[Lot] | None:
        """Returns a lot of unknown date at its average price for each; None without the broker's answer."""
        ...


class PositionNotes(Protocol):
    """Reads stored data on companies and purchases."""

    async def companies(self, symbols: Sequence[str], session: date) -> Mapping[str, CompanyNote]:
        """Each known symbol as of `session`; unknown ones are absent."""
        ...

    async def purchases(self, bought: Sequence[tuple[str, date]]) -> Sequence[PurchaseNote]:
        """What was known of each symbol on the session before or at its purchase."""
        ...


class PositionReports(Protocol):
    """Stores the account's report after each evaluated session."""

    async def last_before(self, session: date) -> date | None:
        """The newest evaluated session before `session`."""
        ...

    async def put(self, point: CurvePoint, texts: PositionTexts) -> None:
        """Keep a session's report, one transaction, idempotent; the texts of older sessions are dropped."""
        ...

    async def latest_journal(self) -> str | None:
        """The newest journal as JSON; None before the first report."""
        ...

    async def undated_lots(self) -> Sequence[Lot]:
        """The lots of unknown date of the newest report."""
        ...

    async def curve(self, limit: int) -> Sequence[CurvePoint]:
        """The account after each of the newest sessions, oldest first."""
        ...


@dataclass(frozen=True, slots=True)
class PositionJudge:
    """Evaluates all positions after a session."""

    panels: UniversePanels
    workers: Workers
    bars: BarStore
    fills: FillStore
    notes: PositionNotes
    reports: PositionReports
    holdings: UntradedHoldings
    calendar: TradingCalendar

    async def __call__(self, session: date, settings: PositionSettings) -> JudgedAccount:
        """The account after `session`; nothing is kept yet."""
        panel = await self.panels.current_or_new()
        parameters = await self._parameters(session, settings)
        (judged,) = await self.workers.map_panel(judge_account, panel, parameters, rows=range(1))
        return judged

    async def is_empty(self) -> bool:
        """Whether nothing was ever bought, and the broker holds nothing either."""
        return not await self.fills.all() and not (await self._untraded())[0]

    async def keep(self, judged: JudgedAccount) -> None:
        """Write the report."""
        await self.reports.put(judged.point, judged.texts)

    async def _parameters(self, session: date, settings: PositionSettings) -> PositionTaskParams:
        fills = await self.fills.all()
        untraded, notices = await self._untraded()
        symbols = sorted({entry.fill.symbol for entry in fills} | {lot.symbol for lot in untraded})
        bought = {(entry.fill.symbol, entry.fill.session) for entry in fills if entry.fill.side is Side.BUY}
        companies = await self.notes.companies(symbols, session)
        return PositionTaskParams(
            as_of=session,
            after=await self.reports.last_before(session) or session - timedelta(1),
            settings=settings,
            fills=tuple(fills),
            companies=tuple(self._with_results(note, session) for note in companies.values()),
            purchases=tuple(await self.notes.purchases(sorted(bought))),
            histories=tuple(await self._histories(companies)),
            untraded=tuple(untraded),
            notices=notices,
            earlier_journal=await self.reports.latest_journal(),
        )

    def _with_results(self, note: CompanyNote, session: date) -> CompanyNote:
        """The note with the sessions from `session` to the company's results, where they lie ahead."""
        if note.results_on is None:
            return note
        ahead = self.calendar.sessions_until(session, note.results_on)
        return msgspec.structs.replace(note, results_in_sessions=ahead)

    async def _untraded(self) -> tuple[Sequence[Lot], tuple[str, ...]]:
        """Lots of holdings without trades, of now or as they were last known, which is then said."""
        found = await self.holdings.untraded()
        if found is not None:
            return found, ()
        known = await self.reports.undated_lots()
        return known, (OLD_HOLDINGS,) if known else ()

    async def _histories(self, companies: Mapping[str, CompanyNote]) -> list[IndexHistory]:
        """Bars of what the panel lacks: companies that are no longer listed, funds, excluded symbols."""
        shares = {share.symbol for share in (await self.panels.universe.current()).shares}
        lacking = [note for symbol, note in companies.items() if symbol not in shares]
        series = [(note, await self.bars.series(note.instrument_id)) for note in lacking]
        return [IndexHistory(note.symbol, own.records.tobytes()) for note, own in series if len(own)]


@dataclass(frozen=True, slots=True)
class Positions:
    """Evaluates every position after `context.session`, publishes changes, then stores the report.

    A crash between the two publishes again under the same keys, which the outbox keeps once.
    """

    judge: PositionJudge
    notifier: Notifier
    clock: Clock
    settings: PositionSettings

    async def __call__(self, context: RunContext) -> RunResult:
        if await self.judge.is_empty():
            return RunResult(outcome=Outcome.SKIPPED, reason=NOTHING_HELD)
        context.progress.begin(0, "evaluating positions")
        judged = await self.judge(context.session, self.settings)
        if judged.last_session < context.session:  # its rules would be read on older bars
            raise RetryableError(
                f"the newest bars are of {judged.last_session}: collect {context.session} first"
            )
        await self.notifier.publish(self._alerts(judged.firings))
        await self.judge.keep(judged)
        return RunResult(counts=_counts(judged))

    def _alerts(self, firings: Sequence[RuleFiring]) -> list[Alert]:
        now = self.clock.now()
        return [
            Alert(
                kind=AlertKind.SELL_RULE,
                key=firing_key(firing),
                at=now,
                session=firing.session,
                symbol=firing.symbol,
                provisional=firing.provisional,
                facts={
                    "rule": firing.rule.replace("_", " "),
                    "detail": firing.text,
                    "sell": math.ceil(firing.share * firing.quantity),
                    "quantity": firing.quantity,
                    "opened": None if firing.opened is None else str(firing.opened),
                    "close": firing.close,
                    "entry": firing.entry,
                    "result_r": firing.result_r,
                },
            )
            for firing in firings
        ]


def firing_key(firing: RuleFiring) -> str:
    """The same for every finding of a firing; in a running session another than after its close."""
    seen = "provisional" if firing.provisional else "final"
    return f"sell_rule:{firing.symbol}:{firing.opened}:{firing.rule}:{firing.session}:{seen}"


def _counts(judged: JudgedAccount) -> dict[str, int]:
    return {
        "lots": judged.point.lots,
        "firing": judged.firing,
        "began_to_fire": len(judged.firings),
        "caps_broken": judged.broken_caps,
    }
