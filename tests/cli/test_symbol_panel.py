"""The verdict on one symbol is the same whether the file is read in part or whole."""

import json
from datetime import date

import numpy as np
import pytest

from vcpd.cli import screen, symbol_panel
from vcpd.cli.local import load_panel
from vcpd.cli.main import main
from vcpd.domain.bars import BarSeries
from vcpd.domain.nse_calendar import NSE
from vcpd.domain.panel import Panel
from vcpd.store.bar_files import write_bars

DAYS = NSE.sessions(date(2022, 1, 1), date(2025, 6, 30))
COUNT = 24
SYMBOLS = [f"A{chr(65 + number)}" for number in range(COUNT)]
Capture = pytest.CaptureFixture[str]


def _history(symbol: str, number: int) -> BarSeries:
    random = np.random.default_rng(number)
    steps = random.normal(0.002 if number % 3 else 0.0005, 0.008 if number % 4 == 0 else 0.02, len(DAYS))
    close = 100 * np.exp(np.cumsum(steps))
    high, low = close * (1 + random.uniform(0.001, 0.01, len(DAYS))), close * 0.995
    volume = np.round(random.lognormal(13, 0.4, len(DAYS)))
    whole = BarSeries.from_columns(symbol, DAYS, (close, high, low, close), volume)
    holes = random.random(len(DAYS)) < (0.1 if number % 5 == 1 else 0)
    if number % 7 == 2:
        holes[-320:-200] = True
    return BarSeries(symbol, whole.records[~holes])


def _index() -> BarSeries:
    """An index without volume on one session of long ago and one of late."""
    random = np.random.default_rng(99)
    close = 1000 * np.exp(np.cumsum(random.normal(0.0005, 0.01, len(DAYS))))
    volume = np.round(random.lognormal(15, 0.3, len(DAYS)))
    volume[[100, -30]] = 0
    return BarSeries.from_columns("NIFTY 500", DAYS, (close, close * 1.005, close * 0.995, close), volume)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("market")
    histories = [_history(symbol, number) for number, symbol in enumerate(SYMBOLS)]
    write_bars(folder / "bars.parquet", histories)
    write_bars(folder / "index.parquet", [_index()])
    return ["--bars", str(folder / "bars.parquet"), "--index", str(folder / "index.parquet")]


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[Panel]:
    """The panels that are read, in their order."""
    panels: list[Panel] = []

    def load(*given: object) -> Panel:
        panels.append(load_panel(*given))  # type: ignore[arg-type]
        return panels[-1]

    monkeypatch.setattr(symbol_panel, "load_panel", load)
    return panels


@pytest.mark.parametrize("as_of", [[], ["--as-of", "2024-10-04"]], ids=["last", "earlier"])
def test_the_verdict_is_that_of_the_whole_file(
    as_of: list[str], files: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    rated = 0
    for symbol in SYMBOLS[::4]:
        monkeypatch.undo()
        assert main(["explain", symbol, *files, "--json", *as_of]) == 0
        in_part = capsys.readouterr().out
        monkeypatch.setattr(screen, "load_symbol_panel", load_panel)
        assert main(["explain", symbol, *files, "--json", *as_of]) == 0
        assert in_part == capsys.readouterr().out
        rated += json.loads(in_part)[0]["rs_rating"] is not None
    assert rated >= 4


def test_older_bars_of_the_others_are_not_read(
    files: list[str], loaded: list[Panel], capsys: Capture
) -> None:
    assert main(["explain", "AA", *files]) == 0
    (panel,) = loaded
    bars = (~np.isnan(panel.close)).sum(axis=1)
    assert bars[0] == len(DAYS)
    assert 401 <= bars[3] < 410
    assert capsys.readouterr().err == ""


def test_where_bases_reach_further_back_the_file_is_read_whole(
    files: list[str], loaded: list[Panel], monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(symbol_panel, "_reach", lambda *_: 149)
    assert main(["screen", *files, "--symbol", "AA", "--json"]) == 0
    in_part, whole = loaded
    assert np.isnan(in_part.close).sum() > np.isnan(whole.close).sum()
    assert capsys.readouterr().err == ""


def test_a_symbol_that_the_file_lacks_is_refused_as_ever(files: list[str], capsys: Capture) -> None:
    assert main(["explain", "ZZZ", *files]) == 65
    assert "ZZZ: not in" in capsys.readouterr().err
