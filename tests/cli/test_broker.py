"""`vcpd positions broker` against a scripted daemon."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cli.scripted_daemon import call, serving, sources
from tests.fakes.broker import ALPHA, FakeBrokerComparison
from vcpd.cli.command import EXIT_OK
from vcpd.core.errors import NeedsLoginError
from vcpd.domain.broker import BrokerAccount, BrokerHolding, BrokerPosition

Capture = pytest.CaptureFixture[str]


async def _shown(tmp_path: Path, capsys: Capture, comparison: FakeBrokerComparison, *words: str) -> str:
    async with serving(tmp_path, replace(sources(), broker=comparison)) as path:
        assert await call("positions", "broker", "--config", path, *words) == EXIT_OK
    return capsys.readouterr().out


async def test_each_company_and_what_differs_is_shown(tmp_path: Path, capsys: Capture) -> None:
    shown = await _shown(tmp_path, capsys, FakeBrokerComparison())
    assert "2 companies at the broker" in shown
    row = next(line.split() for line in shown.splitlines() if "INE000000001" in line)
    assert row == ["NSE:ALPHA", "INE000000001", "13", "6", "3", "4", "0", "101.50", "10"]
    assert "NSE:ALPHA: the broker reports 13 shares, the stored trades leave 10" in shown
    assert "NSE:BETA: 20 shares at 50.00 without stored trades: give day and stop with `vcpd" in shown
    assert "left out NSE:BETA: 5, margin trading facility" in shown
    assert "agree with the broker's account" not in shown


async def test_an_isin_that_nobody_gives_is_unknown(tmp_path: Path, capsys: Capture) -> None:
    bought = BrokerPosition(
        symbol="NSE:GAMMA", product="CNC", bought=5, sold=0, net_quantity=5, buy_price=10.0
    )
    shown = await _shown(tmp_path, capsys, FakeBrokerComparison(BrokerAccount(positions=(bought,))))
    assert next(line.split() for line in shown.splitlines() if "GAMMA" in line)[1] == "unknown"


async def test_agreement_is_said(tmp_path: Path, capsys: Capture) -> None:
    same = BrokerHolding(
        symbol="NSE:ALPHA", isin=ALPHA.isin, settled=10, unsettled=0, pledged=0, average_price=100.0
    )
    shown = await _shown(tmp_path, capsys, FakeBrokerComparison(BrokerAccount(holdings=(same,))))
    assert "the stored trades agree with the broker's account" in shown


async def test_programs_get_the_whole_comparison(tmp_path: Path, capsys: Capture) -> None:
    found = json.loads(await _shown(tmp_path, capsys, FakeBrokerComparison(), "--json"))
    assert (found["agrees"], found["differences"][0]["in_trades"]) == (False, 10)
    table = await _shown(tmp_path, capsys, FakeBrokerComparison(), "--csv")
    assert table.splitlines()[1].startswith("NSE:ALPHA,INE000000001,13,6,3,4,0,101.5")


async def test_a_login_that_is_due_is_said(tmp_path: Path, capsys: Capture) -> None:
    comparison = FakeBrokerComparison(error=NeedsLoginError("the day's login is due: `vcpd login`"))
    async with serving(tmp_path, replace(sources(), broker=comparison)) as path:
        assert await call("positions", "broker", "--config", path) != EXIT_OK
    assert "the day's login is due" in capsys.readouterr().err
