"""Tasks of the workers over the record of reported setups. The daemon names them and never calls them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date

import msgspec

from vcpd.domain.bars import DateArray
from vcpd.domain.market_regime import MarketTerm
from vcpd.domain.panel import Panel
from vcpd.domain.record import RecordEntry, RecordReport, ReportedOutcome, ReportedSetup


class FirstReport(msgspec.Struct, frozen=True):
    """The first report of a base: today's symbol, and what was reported."""

    symbol: str
    setup: ReportedSetup


class RecordOutcomeParams(msgspec.Struct, frozen=True, kw_only=True):
    """What is simulated: held for `horizon_sessions` or to the stop; costs in percent of the entry."""

    reports: Sequence[FirstReport]
    horizon_sessions: int = 60
    cost_pct: float = 0.3


class MarketHistory(msgspec.Struct, frozen=True):
    """The sessions (n,) of a panel, and what the market did after some of them."""

    sessions: DateArray
    terms: Mapping[date, MarketTerm]


def first_reports(entries: Iterable[RecordEntry]) -> list[FirstReport]:
    """The first session's report of each base, in its last version; entries that cannot be read are left out.

    A base is one of a symbol's with the same anchor.
    """
    found: dict[tuple[str, date | None], FirstReport] = {}
    for entry in entries:
        try:
            setup = entry.reported
        except msgspec.MsgspecError:
            continue
        known = found.get((entry.symbol, setup.anchor_date))
        if known is None or setup.session <= known.setup.session:
            found[entry.symbol, setup.anchor_date] = FirstReport(entry.symbol, setup)
    return list(found.values())


def record_outcomes(panel: Panel, rows: range, parameters: RecordOutcomeParams) -> list[ReportedOutcome]:
    """A panel task: what became of the reports of the symbols in `rows`."""
    from vcpd.analysis.record_outcomes import outcomes_of_row  # noqa: PLC0415 - compiles

    by_symbol: dict[str, list[FirstReport]] = defaultdict(list)
    for report in parameters.reports:
        by_symbol[report.symbol].append(report)
    found: list[ReportedOutcome] = []
    for row in rows:
        if own := by_symbol.get(panel.symbols[row]):
            found += outcomes_of_row(panel, row, own, parameters)
    return found


def report_record(
    parameters: RecordOutcomeParams, outcomes: Sequence[ReportedOutcome], market: MarketHistory
) -> RecordReport:
    """All outcomes, and the estimates by state, month and market."""
    from vcpd.analysis.record_outcomes import summarize_record  # noqa: PLC0415 - compiles

    return summarize_record(parameters, outcomes, market)
