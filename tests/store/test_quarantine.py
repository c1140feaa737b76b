"""Days on which a market traded although the calendar knows no session are found among quarantined bars."""

from datetime import date

from tests.store.market import walk
from vcpd.domain.bars import BarSeries
from vcpd.domain.nse_calendar import NSE
from vcpd.domain.quality_rules import ValidSessions, check_rows
from vcpd.store.bars import PostgresQuarantineStore
from vcpd.store.database import Database

SATURDAY = date(2025, 6, 28)


def on_saturday(symbol: str, volume: float) -> BarSeries:
    series = walk(symbol, 1, seed=1, first=SATURDAY)
    series.records["volume"] = volume
    return series


async def test_symbols_that_traded_are_counted_by_day(database: Database) -> None:
    """A row without volume is a filler; what lies before the given day is left out."""
    store = PostgresQuarantineStore(database)
    days = ValidSessions(NSE.sessions(date(2025, 1, 1), date(2025, 12, 31)), date(2025, 12, 31))
    series = [on_saturday("NSE:A", 100.0), on_saturday("NSE:B", 5.0), on_saturday("NSE:C", 0.0)]
    for entry in (*series, series[0]):
        checked = check_rows(entry, days)
        assert len(checked.quarantined) == 1
        await store.add(checked.quarantined)
    assert await store.unscheduled_sessions(SATURDAY) == {SATURDAY: 2}
    assert await store.unscheduled_sessions(date(2025, 6, 29)) == {}
