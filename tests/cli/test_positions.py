"""`vcpd positions` and `vcpd journal` over files of trades and bars: rules, heat, refused rows, CSV, JSON."""

import csv
import io
import json
from datetime import date
from pathlib import Path

import msgspec
import polars as pl
import pytest

from tests.cli.bar_files import LAST, write_bars
from vcpd.analysis.backtest import BaseOnSession
from vcpd.analysis.session_context import SessionContext
from vcpd.analysis.thresholds import Thresholds
from vcpd.cli.command import EXIT_BAD_INPUT, EXIT_OK
from vcpd.cli.main import main
from vcpd.cli.positions import base_notes
from vcpd.domain.bars import BarSeries
from vcpd.domain.panel import build_panel
from vcpd.domain.portfolio import Lot
from vcpd.domain.setups import BaseState, SetupGroup
from vcpd.store.bar_files import read_bars

Capture = pytest.CaptureFixture[str]
HEADER = "symbol,date,side,quantity,price,stop,note\n"


@pytest.fixture(scope="module")
def bars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bars(tmp_path_factory.mktemp("bars") / "bars.parquet")


@pytest.fixture(scope="module")
def series(bars: Path) -> BarSeries:
    return next(entry for entry in read_bars(bars).series if entry.symbol == "AAA")


@pytest.fixture
def trades(tmp_path: Path, series: BarSeries) -> Path:
    """100 shares at the close of 50 sessions ago, of which 40 were sold 20 sessions ago; one row is bad."""
    opened, closed = series.sessions[-51].item(), series.sessions[-21].item()
    entry, exit_price = float(series.close[-51]), float(series.close[-21])
    rows = [
        f"nse:aaa,{opened},buy,100,{entry},{0.9 * entry},first",
        f"AAA,{closed},sell,40,{exit_price},,part",
        f"AAA,{closed},sell,400,{exit_price},,too much",
        f"AAA,{closed},buy,none,{exit_price},,",
        "GONE,2025-01-06,buy,10,50,45,",
    ]
    path = tmp_path / "trades.csv"
    path.write_text(HEADER + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def _run(*words: object) -> int:
    return main([str(word) for word in words])


def test_positions_agree_with_the_bars(bars: Path, trades: Path, series: BarSeries, capsys: Capture) -> None:
    assert _run("positions", "--trades", trades, "--bars", bars, "--equity", 100_000, "--json") == EXIT_OK
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    (position,) = report["positions"]
    entry = float(series.close[-51])
    measures = position["measures"]
    assert (report["session"], measures["lot"]["quantity"], measures["sessions_held"]) == (str(LAST), 60, 50)
    assert measures["result_r"] == pytest.approx((series.close[-1] - entry) / (0.1 * entry))
    assert measures["best_r"] == pytest.approx((max(entry, series.high[-50:].max()) - entry) / (0.1 * entry))
    assert report["unmeasured"] == {"1": "no bars"}
    assert {rule["name"] for rule in position["rules"]} >= {"initial_stop", "strength"}
    assert report["heat"]["without_stop"] == ["GONE"]
    assert "refused AAA" in captured.err
    assert "a sale of 400 shares, but 60 are held" in captured.err
    assert "row 5: quantity: expected a whole number above 0, was 'none'" in captured.err


def test_positions_are_read_by_people(bars: Path, trades: Path, capsys: Capture) -> None:
    assert _run("positions", "--trades", trades, "--bars", bars) == EXIT_OK
    shown = capsys.readouterr().out
    assert f"2 lots after {LAST}" in shown
    assert "GONE: 10 shares at 50.00 are not evaluated: no bars" in shown
    assert "heat: unknown without the value of the account" in shown
    assert _run("positions", "--trades", trades, "--bars", bars, "--equity", "500") == EXIT_OK
    again = capsys.readouterr().out
    assert "total:" in again
    assert "OVER THE LIMIT" in again
    assert "2 symbols that move like 2.0 independent ones" in again
    measures = again[again.index("measures: percent of the close") : again.index("GONE: 10 shares")]
    assert "best R" in measures
    assert "to SMA200 %" in measures
    assert "no base known" in measures


def test_a_purchase_names_the_base_that_it_was_bought_from(
    bars: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By files alone: the base that the detector followed on the day of the purchase, and its state now."""
    panel = build_panel(read_bars(bars).series)
    bought = panel.sessions[-51].item()

    def found(*_: object) -> dict[date, list[BaseOnSession]]:
        base = BaseOnSession(
            bought, 101.0, 95.0, BaseState.NEAR_PIVOT, SetupGroup.SETUP, footprint="9W 20/5 3T"
        )
        return {bought: [base], LAST: [msgspec.structs.replace(base, state=BaseState.EXTENDED)]}

    monkeypatch.setattr("vcpd.cli.positions.bases_by_session", found)
    lot = Lot(number=1, symbol="AAA", opened=bought, quantity=1, entry=102.0)
    known = base_notes(SessionContext(panel, Thresholds()), [lot])["AAA"]
    assert (known.pivots, known.footprints) == ({bought: 101.0}, {bought: "9W 20/5 3T"})
    assert known.base_state == BaseState.EXTENDED.value


def test_a_past_session_knows_no_later_trade(
    bars: Path, trades: Path, series: BarSeries, capsys: Capture
) -> None:
    before = series.sessions[-22].item()
    assert _run("positions", "--trades", trades, "--bars", bars, "--as-of", before, "--json") == EXIT_OK
    captured = capsys.readouterr()
    (position,) = json.loads(captured.out)["positions"]
    assert position["measures"]["lot"]["quantity"] == 100
    assert "2 trades after the evaluated session are not counted" in captured.err


def test_the_journal_holds_what_was_sold(
    bars: Path, trades: Path, series: BarSeries, capsys: Capture
) -> None:
    assert _run("journal", "--trades", trades, "--bars", bars, "--json") == EXIT_OK
    found = json.loads(capsys.readouterr().out)
    (entry,) = found["entries"]
    profit = 40 * (series.close[-21] - series.close[-51])
    assert (entry["quantity"], entry["exit_note"], entry["tax_class"]) == (40, "part", "short-term")
    assert entry["profit"] == pytest.approx(profit)
    assert found["all"]["trades"] == found["by_tax_class"]["short-term"]["trades"] == 1
    assert found["all"]["low_r"] is None


def test_the_journal_as_csv_and_as_tables(bars: Path, trades: Path, capsys: Capture) -> None:
    assert _run("journal", "--trades", trades, "--bars", bars, "--csv") == EXIT_OK
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (row["symbol"], row["quantity"], row["note"]) == ("AAA", "40", "first")
    assert _run("journal", "--trades", trades, "--bars", bars) == EXIT_OK
    assert "trades with a known R: 1, too few for an interval" in capsys.readouterr().out


def test_the_journal_as_a_file(bars: Path, trades: Path, tmp_path: Path, capsys: Capture) -> None:
    file, words = tmp_path / "journal.parquet", ("journal", "--trades", trades, "--bars", bars, "-o")
    assert _run(*words, file) == EXIT_OK
    assert capsys.readouterr().out == f"{file}: 1 closed trades\n"
    (row,) = pl.read_parquet(file).to_dicts()
    assert (row["symbol"], row["quantity"], row["note"]) == ("AAA", 40, "first")
    assert isinstance(row["closed"], date)
    assert _run(*words, tmp_path / "journal.txt") == EXIT_BAD_INPUT
    assert "expected a name that ends in .parquet or .csv" in capsys.readouterr().err
    assert not (tmp_path / "journal.txt").exists()


def test_a_journal_without_closed_trades_writes_no_file(
    bars: Path, series: BarSeries, tmp_path: Path, capsys: Capture
) -> None:
    trades = tmp_path / "held.csv"
    trades.write_text(f"{HEADER}AAA,{series.sessions[-9].item()},buy,10,{float(series.close[-9])},,\n")
    file = tmp_path / "journal.csv"
    assert _run("journal", "--trades", trades, "--bars", bars, "-o", file) == EXIT_BAD_INPUT
    assert not file.exists()
    assert "no trade is closed yet" in capsys.readouterr().err


def test_a_split_is_named_where_it_is_missing_and_applied_where_it_is_given(
    bars: Path, tmp_path: Path, series: BarSeries, capsys: Capture
) -> None:
    opened, split = series.sessions[-51].item(), series.sessions[-40].item()
    entry = 5 * float(series.close[-51])
    path, actions = tmp_path / "trades.csv", tmp_path / "actions.csv"
    path.write_text(HEADER + f"AAA,{opened},buy,20,{entry},{0.9 * entry},\n", encoding="utf-8")
    actions.write_text(f"symbol,session,ratio\nnse:aaa,{split},5\n", encoding="utf-8")
    assert _run("positions", "--trades", path, "--bars", bars, "--json") == EXIT_OK
    report = json.loads(capsys.readouterr().out)
    assert report["notices"][0].endswith("is a split missing?")
    command = ("positions", "--trades", path, "--bars", bars, "--actions", actions, "--json")
    assert _run(*command) == EXIT_OK
    report = json.loads(capsys.readouterr().out)
    lot = report["positions"][0]["measures"]["lot"]
    assert (lot["quantity"], report["notices"]) == (100, [])
    assert lot["entry"] == pytest.approx(entry / 5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("symbol,session\nAAA,2025-01-06\n", "expected the columns symbol, session, ratio"),
        ("symbol,session,ratio\nAAA,2025-01-06,0\n", "row 2, field RATIO: expected a number above 0, was 0"),
        ("symbol,session,ratio\nAAA,soon,2\n", "row 2, field SESSION: expected a date"),
    ],
)
def test_actions_that_cannot_be_read_are_named(
    bars: Path, trades: Path, capsys: Capture, text: str, message: str
) -> None:
    actions = trades.with_name("actions.csv")
    actions.write_text(text, encoding="utf-8")
    assert _run("positions", "--trades", trades, "--bars", bars, "--actions", actions) == EXIT_BAD_INPUT
    assert message in capsys.readouterr().err


def test_trades_and_bars_are_both_needed(bars: Path, capsys: Capture) -> None:
    assert _run("positions", "--bars", bars) == EXIT_BAD_INPUT
    assert "--trades and --bars: expected both" in capsys.readouterr().err
