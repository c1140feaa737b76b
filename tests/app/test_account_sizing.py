"""What is held limits what may be bought, and each account is read once for all symbols."""

from collections.abc import Mapping, Sequence
from datetime import date
from types import SimpleNamespace
from typing import Any, cast

import msgspec

from tests.fakes.positions import FakePositionNotes, FakePositionReports
from vcpd.analysis.heat import HeatSettings, LotAtRisk, measure_heat
from vcpd.analysis.sizing import HeatLimit
from vcpd.app.account_sizing import AccountSizing
from vcpd.app.storage import Storage
from vcpd.config import Configuration
from vcpd.domain.instruments import Instrument, StoredInstrument
from vcpd.domain.portfolio import CurvePoint, JudgedHeat, PositionTexts
from vcpd.domain.position_notes import CompanyNote

SESSION = date(2025, 6, 30)
SYMBOLS = ("NSE:AAA", "NSE:CCC")
SETTINGS = HeatSettings(total_pct=6.0, sector_pct=5.0)


class CountedReports(FakePositionReports):
    """Counts how often the report is read."""

    reads = 0

    async def latest_heat(self) -> JudgedHeat | None:
        self.reads += 1
        return await super().latest_heat()


class Stored:
    """The parts of a store that say what is held."""

    def __init__(self) -> None:
        self.position_reports = CountedReports()
        bank = CompanyNote(symbol="NSE:AAA", instrument_id=1, sector="Banks")
        self.position_notes = FakePositionNotes({"NSE:AAA": bank})
        self.instruments = self

    async def all(self) -> Sequence[StoredInstrument]:
        return [StoredInstrument(1, Instrument("NSE:AAA", 1, lot_size=5))]


async def _read(stored: Stored) -> AccountSizing:
    configuration: Any = SimpleNamespace(heat=SETTINGS)
    return await AccountSizing.read(cast("Storage", stored), cast("Configuration", configuration), SYMBOLS)


async def _hold(stored: Stored, heat: Mapping[str, object]) -> None:
    point = CurvePoint(session=SESSION, lots=1, closed_r=0.0, open_r=0.0, at_risk=4_000.0)
    texts = PositionTexts(session=SESSION, report=msgspec.json.encode(heat).decode(), journal="{}")
    await stored.position_reports.put(point, texts)


async def test_what_is_held_limits_what_may_be_bought() -> None:
    """4,000 at risk in one sector of an account of 100,000, whose caps are 6 % in total and 5 % a sector."""
    stored = Stored()
    lot = LotAtRisk(
        symbol="NSE:BBB",
        sector="Banks",
        value=40_000.0,
        stop=90.0,
        at_risk=4_000.0,
        gap_pct=None,
        gap_loss=None,
    )
    await _hold(stored, {"heat": measure_heat([lot], 100_000.0, SETTINGS)})
    account = await _read(stored)
    assert account.heat_limit("NSE:AAA", None) == HeatLimit(1_000.0, "sector Banks")
    assert account.heat_limit("NSE:CCC", None) == HeatLimit(2_000.0, "total")
    assert account.heat_limit("NSE:CCC", 200_000.0) == HeatLimit(8_000.0, "total")
    assert stored.position_reports.reads == 1


async def test_nothing_is_limited_before_the_account_is_known() -> None:
    stored = Stored()
    account = await _read(stored)
    assert account.heat_limit("NSE:AAA", None) is None
    assert account.lot_sizes == {"NSE:AAA": 5}
    await _hold(stored, {"heat": None})
    assert (await _read(stored)).heat_limit("NSE:AAA", 100_000.0) is None
