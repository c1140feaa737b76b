"""Heat: what is lost at every stop, by sector and in total; caps; bad nights; what a purchase may add."""

from datetime import date

import numpy as np
import pytest

from vcpd.analysis.heat import (
    HeatSettings,
    LotAtRisk,
    gap_pct,
    measure_heat,
    risk_available,
    risk_by_sector,
)
from vcpd.analysis.lots import build_lot_book
from vcpd.analysis.positions import (
    PositionSettings,
    count_bets,
    lots_outside_bars,
    report_positions,
)
from vcpd.core.errors import BadInputError
from vcpd.domain.bars import BarSeries
from vcpd.domain.panel import build_panel
from vcpd.domain.portfolio import Fill, Lot, LotBook, Side

SETTINGS = HeatSettings(total_pct=6.0, sector_pct=3.0, positions=3)
DAYS = np.arange("2025-01-01", "2025-06-30", dtype="M8[D]")


def at_risk(symbol: str, sector: str, amount: float, stop: float | None = 90.0) -> LotAtRisk:
    return LotAtRisk(
        symbol=symbol, sector=sector, value=10_000.0, stop=stop, at_risk=amount, gap_pct=5.0, gap_loss=500.0
    )


def flat(symbol: str, price: float = 100.0) -> BarSeries:
    column = np.full(len(DAYS), price)
    prices = (column, column + 1, column - 1, column)
    return BarSeries.from_columns(symbol, DAYS, prices, np.full(len(DAYS), 1e5))


def test_sums_and_caps() -> None:
    lots = [at_risk("A", "Metals", 2_000), at_risk("B", "Metals", 1_500), at_risk("C", "Banks", 1_000)]
    heat = measure_heat(lots, 100_000, SETTINGS)
    assert (heat.at_risk, heat.at_risk_pct, heat.value, heat.gap_loss) == (4_500, 4.5, 30_000, 1_500)
    assert risk_by_sector(lots) == {"Metals": 3_500, "Banks": 1_000}
    assert {cap.name: cap.is_broken for cap in heat.caps} == {
        "total": False,
        "sector Banks": False,
        "sector Metals": True,
        "positions": False,
    }


def test_what_is_available_is_the_narrower_of_total_and_sector() -> None:
    heat = measure_heat([at_risk("A", "Metals", 2_000), at_risk("B", "Banks", 2_500)], 100_000, SETTINGS)
    assert risk_available(heat, "X", "Metals", SETTINGS) == (1_000, "sector Metals")
    assert risk_available(heat, "X", "Energy", SETTINGS) == (1_500, "total")
    assert risk_available(heat, "B", "Banks", SETTINGS) == (500, "sector Banks")


def test_nothing_is_available_when_enough_symbols_are_held() -> None:
    full = measure_heat([at_risk(name, name, 100) for name in "ABC"], 100_000, SETTINGS)
    assert risk_available(full, "D", "D", SETTINGS) == (0.0, "positions")
    assert risk_available(full, "A", "A", SETTINGS) == (2_900, "sector A")


@pytest.mark.parametrize("equity", [0.0, -1.0, float("nan")])
def test_an_account_without_value_is_refused(equity: float) -> None:
    with pytest.raises(BadInputError, match=r"equity: expected a value above 0"):
        measure_heat([], equity, SETTINGS)


def test_the_bad_night_is_the_hundredth_of_all_nights() -> None:
    series = flat("A")
    changes = np.linspace(-0.08, 0.08, len(series) - 1)
    series.records["open"][1:] = series.close[:-1] * (1 + changes)
    expected = -100 * np.percentile(changes, 1.0)
    assert gap_pct(series) == pytest.approx(expected)
    assert gap_pct(BarSeries("A", series.records[:100])) is None, "too few nights"
    assert gap_pct(flat("A")) == 0.0


def book(*fills: Fill) -> LotBook:
    return build_lot_book(fills)


def bought(symbol: str, day: date, price: float, stop: float | None = None) -> Fill:
    return Fill(
        symbol=symbol, session=day, side=Side.BUY, quantity=10, price=price, trade_id=symbol, stop=stop
    )


def test_a_report_measures_what_has_bars_and_names_the_rest() -> None:
    held = book(
        bought("NSE:A", date(2025, 3, 3), 100.0, 95.0),
        bought("NSE:GONE", date(2025, 3, 4), 50.0, 45.0),
        bought("NSE:NOSTOP", date(2025, 3, 5), 100.0),
    )
    bars = {"NSE:A": flat("NSE:A"), "NSE:NOSTOP": flat("NSE:NOSTOP")}
    report = report_positions(held, bars, date(2025, 6, 27), PositionSettings(equity=100_000.0))
    assert [position.measures.lot.symbol for position in report.positions] == ["NSE:A", "NSE:NOSTOP"]
    assert report.unmeasured == {2: "no bars"}
    assert report.heat is not None
    assert {lot.symbol: lot.at_risk for lot in report.heat.lots} == {
        "NSE:A": 50.0,
        "NSE:GONE": 500.0,
        "NSE:NOSTOP": 1_000.0,
    }
    assert report.heat.without_stop == ("NSE:GONE", "NSE:NOSTOP")
    assert report_positions(held, bars, date(2025, 6, 27), PositionSettings()).heat is None


def test_a_price_that_no_day_explains_is_named() -> None:
    lots = book(
        bought("NSE:A", date(2025, 3, 3), 500.0),
        bought("NSE:B", date(2025, 3, 3), 100.9),
        bought("NSE:C", date(2024, 3, 3), 7.0),
    ).lots
    bars = {lot.symbol: flat(lot.symbol) for lot in lots}
    assert lots_outside_bars(lots, bars) == [
        "NSE:A 2025-03-03: bought at 500.00, but the day's prices are 99.00 to 101.00: is a split missing?"
    ]


def test_a_lot_of_unknown_age_has_a_cost_but_no_r() -> None:
    lot = Lot(number=1, symbol="NSE:A", opened=None, quantity=10, entry=90.0)
    report = report_positions(
        LotBook(lots=(lot,)), {"NSE:A": flat("NSE:A")}, date(2025, 6, 27), PositionSettings()
    )
    measures = report.positions[0].measures
    assert (measures.sessions_held, measures.result_r) == (None, None)
    assert measures.gain_pct == pytest.approx(100 * (100 / 90 - 1))


def test_two_lots_of_two_symbols_that_move_alike_are_one_bet() -> None:
    """And two lots of one symbol are one symbol."""
    steps = np.random.default_rng(3).normal(0, 0.02, len(DAYS))
    walk = np.asarray(100 * np.cumprod(1 + steps), np.float64)
    series = {
        name: BarSeries.from_columns(name, DAYS, (walk,) * 4, np.full(len(DAYS), 1e5)) for name in ("A", "B")
    }
    opened: date = DAYS[100].item()
    lots = [
        Lot(number=number, symbol=symbol, opened=opened, quantity=10, entry=float(walk[100]), stop=50.0)
        for number, symbol in enumerate(["A", "A", "B"], 1)
    ]
    book = LotBook(lots=tuple(lots))
    settings = PositionSettings(equity=1e6)
    report = report_positions(book, series, DAYS[-1].item(), settings)
    counted = count_bets(report, build_panel(series.values()), settings.crowding)
    assert counted.heat is not None
    assert counted.heat.effective_bets == pytest.approx(1.0)
    unknown = report_positions(book, series, DAYS[-1].item(), PositionSettings())
    assert count_bets(unknown, build_panel(series.values()), settings.crowding) is unknown
