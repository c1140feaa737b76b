"""One rule of size: port, command line and alert give the same number for every setup of three markets.

The page sends the port nothing but the symbol (tests/web/test_browser.py), so its number is the port's.
"""

import json
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from benchmarks.detector_planted import panel_of
from tests.fakes.positions import FakePositionNotes
from tests.fakes.regimes import context_of
from vcpd.analysis.heat import HeatSettings
from vcpd.analysis.risk.parameters import RiskTaskParams
from vcpd.analysis.risk.report import measure_risk
from vcpd.analysis.risk.scores import score_risk
from vcpd.analysis.screen import screen_rows
from vcpd.analysis.sizing import SizingChoice
from vcpd.analysis.sizing_parameters import SizingParameters
from vcpd.analysis.tasks import ScreenParams
from vcpd.app.account_sizing import AccountSizing
from vcpd.app.setup_alerts import AlertFacts, alert_variables, shares_for_account
from vcpd.app.status import StatusService
from vcpd.cli import risk as size_command
from vcpd.cli.main import main
from vcpd.core.errors import BadInputError
from vcpd.domain.facts import SetupFacts
from vcpd.domain.nse_calendar import NSE
from vcpd.domain.panel import Panel
from vcpd.domain.position_notes import CompanyNote
from vcpd.domain.risk import RiskScore
from vcpd.domain.setups import Setup
from vcpd.sandbox.settings import SandboxSettings
from vcpd.sandbox.simulated import SimulatedMarket
from vcpd.web.context import SizeRequest

LAST_SESSION = date(2026, 10, 30)
SETTINGS = SizingParameters(equity=2_500_000.0, risk_pct=1.0)


def _giving(value: Any) -> Any:
    async def give(*_: Any) -> Any:
        return value

    return give


def _storage(setup: Setup, score: RiskScore) -> Any:
    return SimpleNamespace(
        setups=SimpleNamespace(for_symbol=_giving((setup.as_of, setup))),
        risk=SimpleNamespace(latest_until=_giving({(setup.symbol, setup.as_of): score})),
        instruments=SimpleNamespace(all=_giving(())),
        regimes=SimpleNamespace(regimes=_giving(())),
        position_reports=SimpleNamespace(latest_heat=_giving(None)),
    )


def _configuration(settings: SizingParameters) -> Any:
    return SimpleNamespace(size=settings, heat=HeatSettings())


async def _alert_size(setup: Setup, score: RiskScore, settings: SizingParameters) -> int | None:
    account = await AccountSizing.read(_storage(setup, score), _configuration(settings), [setup.symbol])
    scores = await account.risk_scores([setup])
    return shares_for_account(setup, account, scores.get((setup.symbol, setup.as_of)))


async def _port_size(setup: Setup, score: RiskScore, equity: float | None, settings: SizingParameters) -> Any:
    live: Any = SimpleNamespace(configuration=_configuration(settings))
    x: Any = None  # the other parts play no role in a size
    service = StatusService(live, x, x, _storage(setup, score), x, x, x, x, x, x, x, x, x, x, x, x, 0.0)
    return await service.size(SizeRequest(symbol=setup.symbol, equity=equity))


def _judged(panel: Panel) -> list[tuple[Setup, RiskScore]]:
    """Every symbol with a pivot, and its risk score."""
    rows = range(len(panel.symbols))
    setups: Sequence[Setup] = screen_rows(panel, rows, ScreenParams()).setups
    scores = score_risk([measure_risk(panel, rows, RiskTaskParams())], RiskTaskParams())
    return [pair for pair in zip(setups, scores, strict=True) if pair[0].pivot and pair[0].stop]


@pytest.mark.parametrize("seed", [3, 7, 11])
async def test_every_setup_has_one_size(
    seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = panel_of(SimulatedMarket(SandboxSettings(symbols=60, seed=seed), NSE, LAST_SESSION))
    monkeypatch.setattr(size_command, "load_panel", lambda _: panel)
    config, bars = tmp_path / "config.toml", tmp_path / "made.parquet"
    bars.touch()  # replaced by the panel above; a missing file would be refused before
    config.write_text("[size]\nequity = 2500000.0\nrisk_pct = 1.0\n", encoding="utf-8")
    judged = _judged(panel)
    above = [setup for setup, _ in judged if setup.buy_zone and (setup.close or 0.0) > setup.buy_zone[0]]
    assert len(judged) >= 10
    assert above  # at these the close is the entry
    for setup, score in judged:
        words = [
            "size",
            "--symbol",
            setup.symbol,
            "--bars",
            str(bars),
            "--json",
            "--config",
            str(config),
        ]
        main(words)
        printed = json.loads(capsys.readouterr().out)
        sizing = await _port_size(setup, score, None, SETTINGS)
        start = setup.buy_zone[0] if setup.buy_zone else setup.pivot or 0.0
        assert sizing.entry == max(start, setup.close or 0.0)
        assert (printed["quantity"], printed["entry"], printed["stop"]) == (
            sizing.quantity,
            sizing.entry,
            sizing.stop,
        )
        assert await _alert_size(setup, score, SETTINGS) == sizing.quantity


async def test_a_share_that_settles_trade_for_trade_has_one_smaller_size() -> None:
    """Port and alert cap it alike, by its symbol where no facts give a band."""
    panel = panel_of(SimulatedMarket(SandboxSettings(symbols=60, seed=3), NSE, LAST_SESSION))
    settings = msgspec.structs.replace(SETTINGS, position_pct=100.0, liquidity_pct=100.0)
    smaller = 0
    for setup, score in _judged(panel):
        moved = msgspec.structs.replace(setup, symbol=f"{setup.symbol}-BE")
        banded = msgspec.structs.replace(setup, facts=SetupFacts(session=LAST_SESSION, price_band_pct=5.0))
        assert await _alert_size(banded, score, settings) == await _alert_size(moved, score, settings)
        ordinary = await _alert_size(setup, score, settings)
        sizing = await _port_size(moved, score, None, settings)
        assert await _alert_size(moved, score, settings) == sizing.quantity
        assert ordinary is not None
        assert sizing.quantity <= ordinary
        smaller += sizing.quantity < ordinary and sizing.bound_by == "price_band"
    assert smaller


async def test_a_size_without_any_equity_names_the_setting() -> None:
    setup = Setup.unevaluated("NSE:AAA", LAST_SESSION, "made up")
    score: Any = SimpleNamespace(as_of=LAST_SESSION)
    with pytest.raises(BadInputError, match=r"\[size\] equity"):
        await _port_size(setup, score, None, SizingParameters())
    assert await _alert_size(setup, score, SETTINGS) is None  # no pivot, no entry


async def test_an_alert_gives_no_shares_before_the_first_risk_score() -> None:
    setup = Setup.unevaluated("NSE:AAA", LAST_SESSION, "made up", close=100.0)
    setup = msgspec.structs.replace(setup, pivot=101.0, stop=95.0, buy_zone=(101.0, 106.0))
    storage: Any = _storage(setup, cast("Any", None))
    storage.risk = SimpleNamespace(latest_until=_giving({}))
    account = await AccountSizing.read(storage, _configuration(SETTINGS), ["NSE:AAA"])
    assert (await account.size(setup, SizingChoice())).quantity == 0  # the traded value is unknown
    assert shares_for_account(setup, account, None) is None


async def test_a_live_alert_says_what_is_listed_after_the_evening_before() -> None:
    listed = msgspec.structs.replace(
        Setup.unevaluated("NSE:AAA", LAST_SESSION, "made up"), sector="Metals", market_context=context_of(2)
    )
    bank = CompanyNote(symbol="NSE:BANK", instrument_id=2, sector="Banks", results_on=LAST_SESSION)
    passed = CompanyNote(symbol="NSE:LATE", instrument_id=3, results_on=LAST_SESSION - timedelta(1))
    storage: Any = SimpleNamespace(
        setups=SimpleNamespace(listed=_giving((LAST_SESSION, [listed]))),
        position_notes=FakePositionNotes({"NSE:BANK": bank, "NSE:LATE": passed}),
    )
    web = SimpleNamespace(page_url="http://x/")
    configuration = SimpleNamespace(size=SizingParameters(), web=web)
    live: Any = SimpleNamespace(configuration=configuration, calendar=NSE)
    symbols = ["NSE:AAA", "NSE:NEW", "NSE:BANK", "NSE:LATE"]
    known = await AlertFacts(live, storage).of_symbols(LAST_SESSION, symbols)
    assert known["NSE:AAA"] == alert_variables(listed, None, "http://x/#/setups/NSE%3AAAA")
    assert known["NSE:AAA"]["sector_ranks"] == "Metals, rank 2 of 2"
    for unknown in ("NSE:NEW", "NSE:LATE"):
        assert {name for name, value in known[unknown].items() if value is not None} == {"url"}
    assert known["NSE:BANK"]["context"] == f"Banks; results in 0 sessions, on {LAST_SESSION}"


def test_the_context_of_an_alert_holds_what_is_known() -> None:
    facts = SetupFacts(
        session=LAST_SESSION,
        results_on=date(2026, 11, 4),
        results_in_sessions=3,
        marks=("trade for trade", "ASM stage 2"),
    )
    setup = msgspec.structs.replace(
        Setup.unevaluated("NSE:AAA", LAST_SESSION, "made up"), sector="Metals", facts=facts
    )
    known = alert_variables(setup, 1_200, "http://x/")
    assert known["context"] == (
        "1,200 shares for the account; Metals; results in 3 sessions, on 2026-11-04; "
        "trade for trade, ASM stage 2"
    )
    assert (known["sector"], known["sector_ranks"], known["market"]) == ("Metals", "Metals", None)
    placed = alert_variables(
        msgspec.structs.replace(setup, market_context=context_of(2), facts=None), None, "http://x/"
    )
    assert placed["context"] == placed["sector_ranks"] == "Metals, rank 2 of 2"
    assert placed["market"] == "under pressure since 2025-06-27, as of 2025-06-30"  # an earlier session's
    unknown = alert_variables(None, None, "http://x/")
    assert {name for name, value in unknown.items() if value is not None} == {"url"}
