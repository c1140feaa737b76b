"""A report of the record's outcomes, and reported setups with chosen prices."""

from dataclasses import dataclass, field
from datetime import date

import msgspec

from vcpd.analysis.record_outcomes import summarize_record
from vcpd.analysis.record_task import MarketHistory, RecordOutcomeParams
from vcpd.domain.nse_calendar import NSE
from vcpd.domain.record import (
    BarsDigest,
    RecordEntry,
    RecordReport,
    ReportedOutcome,
    ReportedSetup,
    canonical_json,
)
from vcpd.domain.setups import BaseState

FIRST, LAST = date(2025, 3, 3), date(2025, 6, 30)


def reported(
    session: date,
    *,
    symbol: str = "NSE:AAA",
    close: float | None = 100.0,
    stop: float | None = 90.0,
    anchor: date = date(2024, 12, 2),
    provisional: bool = False,
) -> ReportedSetup:
    return ReportedSetup(
        session=session,
        symbol=symbol,
        anchor_date=anchor,
        footprint="10W 20/5 3T",
        pivot=101.0,
        stop=stop,
        structural_stop=None,
        buy_zone=None,
        risk_pct=None,
        state=BaseState.NEAR_PIVOT,
        score=61.0,
        rs_rating=80,
        close=close,
        gates={},
        tolerances=(),
        provisional=provisional,
        bars=BarsDigest(first=session, last=session, count=1, sha256=""),
        program="1",
        settings="1",
    )


def entries_of(*setups: ReportedSetup) -> list[RecordEntry]:
    """Entries of the record; their hashes play no role."""
    return [
        RecordEntry(number=number, symbol=setup.symbol, previous_hash="", hash="", text=canonical_json(setup))
        for number, setup in enumerate(setups, 1)
    ]


STOPPED = ReportedOutcome(
    symbol="NSE:AAA",
    session=FIRST,
    anchor_date=date(2024, 12, 2),
    footprint="10W 20/5 3T",
    state=BaseState.NEAR_PIVOT,
    score=61.0,
    entry=100.0,
    stop=90.0,
    held_sessions=4,
    result_r=-1.03,
    best_r=0.4,
    worst_r=1.0,
    is_stopped=True,
    is_finished=True,
)
HELD = msgspec.structs.replace(
    STOPPED,
    symbol="NSE:BBB",
    session=LAST,
    held_sessions=0,
    result_r=-0.03,
    is_stopped=False,
    is_finished=False,
)


@dataclass
class FakeRecordOutcomes:
    """One setup that was stopped, and another that is still held."""

    outcomes: list[ReportedOutcome] = field(default_factory=lambda: [STOPPED, HELD])

    async def report(self, limit: int) -> RecordReport:
        market = MarketHistory(NSE.sessions(FIRST, LAST), {})
        whole = summarize_record(RecordOutcomeParams(reports=()), self.outcomes, market)
        return msgspec.structs.replace(whole, items=whole.items[:limit])
