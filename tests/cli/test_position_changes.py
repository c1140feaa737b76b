"""`vcpd positions add|import|remove|stop` and the stored positions and journal, against a scripted daemon."""

import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.cli.scripted_daemon import call, serving, sources
from tests.fakes.positions import FakePortfolio, FakePositionReports
from vcpd.analysis.journal import keep_journal
from vcpd.analysis.positions import PositionSettings, report_positions
from vcpd.cli.command import EXIT_BAD_INPUT, EXIT_OK
from vcpd.domain.portfolio import ClosedTrade, CurvePoint, Fill, Lot, LotBook, PositionTexts, Side

Capture = pytest.CaptureFixture[str]
SESSION = date(2025, 6, 30)
LOT = Lot(number=1, symbol="NSE:AAA", opened=SESSION, quantity=10, entry=50.0)
TRADE = ClosedTrade(
    number=1, symbol="NSE:AAA", opened=SESSION, closed=SESSION, quantity=3, entry=50.0, exit=55.0, stop=45.0
)


async def _run(tmp_path: Path, portfolio: FakePortfolio, *words: object) -> int:
    async with serving(tmp_path, replace(sources(), portfolio=portfolio)) as path:
        return await call("positions", *words, "--config", path)


async def test_a_purchase_and_a_sale_are_sent(tmp_path: Path, capsys: Capture) -> None:
    portfolio = FakePortfolio()
    words: tuple[Any, ...] = ("add", "aaa", "--date", SESSION, "--price", 50, "--quantity", 10)
    more = ("--stop", 45, "--note", "first", "--rules", "runner")
    assert await _run(tmp_path, portfolio, *words, *more) == EXIT_OK
    assert await _run(tmp_path, portfolio, *words, "--sell") == EXIT_OK
    fill = Fill(
        symbol="NSE:AAA", session=SESSION, side=Side.BUY, quantity=10, price=50.0, trade_id="", stop=45.0,
        note="first", rules="runner",
    )  # fmt: skip
    sale = Fill(symbol="NSE:AAA", session=SESSION, side=Side.SELL, quantity=10, price=50.0, trade_id="")
    assert [change[-1] for change in portfolio.changes] == [fill, sale]
    assert "1 added" in capsys.readouterr().out


async def test_a_holding_is_added_without_shares_and_price(tmp_path: Path) -> None:
    portfolio = FakePortfolio()
    assert await _run(tmp_path, portfolio, "add", "AAA", "--date", SESSION, "--stop", 45) == EXIT_OK
    assert [change[:2] for change in portfolio.changes] == [("add holding", "NSE:AAA")]
    for words in (("--price", 4), ("--quantity", 4), ("--sell",)):
        assert await _run(tmp_path, portfolio, "add", "AAA", "--date", SESSION, *words) == EXIT_BAD_INPUT
    assert len(portfolio.changes) == 1


async def test_rows_of_a_file_that_were_refused_are_named(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "book.csv"
    file.write_text("symbol,date\nAAA,x\n", encoding="utf-8")
    portfolio = FakePortfolio()
    assert await _run(tmp_path, portfolio, "import", file, "--actions", file) == EXIT_BAD_INPUT
    text = file.read_text(encoding="utf-8")
    assert portfolio.changes == [("import", "book.csv", text, text)]
    assert "refused book.csv, row 3: quantity: expected a whole number" in capsys.readouterr().err


async def test_a_set_of_rules_is_chosen(tmp_path: Path, capsys: Capture) -> None:
    portfolio = FakePortfolio()
    assert await _run(tmp_path, portfolio, "rules", "AAA", "runner", "--date", SESSION) == EXIT_OK
    assert portfolio.changes == [("rules", "NSE:AAA", ("runner", SESSION))]
    assert "1 changed" in capsys.readouterr().out


async def test_a_closed_trade_gets_a_note(tmp_path: Path, capsys: Capture) -> None:
    """On its sale, or on its purchase; of a day or of the newest one."""
    portfolio = FakePortfolio()
    async with serving(tmp_path, replace(sources(), portfolio=portfolio)) as path:
        for words in (("too early", "--date", SESSION), ("", "--bought")):
            assert await call("journal", "note", "AAA", *words, "--config", path) == EXIT_OK
        assert await call("journal", "note", "NOBODY", "x", "--config", path) == EXIT_BAD_INPUT
    assert portfolio.changes == [
        ("note", "NSE:AAA", (Side.SELL, "too early", SESSION)),
        ("note", "NSE:AAA", (Side.BUY, "", None)),
    ]
    assert "1 changed" in capsys.readouterr().out


async def test_stops_are_set_and_trades_removed(tmp_path: Path, capsys: Capture) -> None:
    portfolio = FakePortfolio()
    assert await _run(tmp_path, portfolio, "stop", "AAA", 44) == EXIT_OK
    assert await _run(tmp_path, portfolio, "remove", "AAA", "--date", SESSION, "--json") == EXIT_OK
    assert portfolio.changes == [
        ("stop", "NSE:AAA", (44.0, None)),
        ("remove", "NSE:AAA", (SESSION, "")),
    ]
    assert "1 changed" in capsys.readouterr().out
    assert await _run(tmp_path, portfolio, "remove", "NOBODY") == EXIT_BAD_INPUT
    assert "NSE:NOBODY: no such trade is stored" in capsys.readouterr().err


async def test_stored_positions_and_journal_are_shown(tmp_path: Path, capsys: Capture) -> None:
    report = report_positions(LotBook(lots=(LOT,)), {}, SESSION, PositionSettings(equity=10_000.0))
    journal = keep_journal([TRADE], {}, [])
    texts = PositionTexts(
        session=SESSION,
        report=msgspec.json.encode(report).decode(),
        journal=msgspec.json.encode(journal).decode(),
    )
    reports = FakePositionReports()
    await reports.put(CurvePoint(session=SESSION, lots=1, closed_r=1, open_r=0, at_risk=None), texts)
    async with serving(tmp_path, replace(sources(), positions=reports)) as path:
        assert await call("positions", "--config", path) == EXIT_OK
        assert await call("journal", "--config", path) == EXIT_OK
        shown = capsys.readouterr().out
        assert await call("positions", "--config", path, "--json") == EXIT_OK
        assert json.loads(capsys.readouterr().out) == json.loads(texts.report)
    assert f"1 lots after {SESSION}" in shown
    assert "NSE:AAA: 10 shares at 50.00 are not evaluated: no bars" in shown
    assert "without a stop below the price, counted in full: NSE:AAA" in shown
    assert "closed trades: 1" in shown
    assert "no base" in shown


async def test_before_the_first_report_the_next_step_is_named(tmp_path: Path, capsys: Capture) -> None:
    assert await _run(tmp_path, FakePortfolio()) == EXIT_OK
    assert "no position is evaluated yet" in capsys.readouterr().out
