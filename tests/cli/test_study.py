"""`vcpd study`: a plan file with every kind of problem, and a study over a file of bars."""

import json
from pathlib import Path

import polars as pl
import pytest

from tests.cli.bar_files import write_bars
from tests.runtime.dask_processes import dask_processes
from tests.study.planted import planted_panel
from vcpd.analysis.thresholds import Thresholds
from vcpd.cli import row_mapping
from vcpd.cli.command import EXIT_BAD_CONFIGURATION, EXIT_BAD_INPUT, EXIT_OK
from vcpd.cli.main import main
from vcpd.cli.study_plan import parse_plan, read_plan
from vcpd.core.errors import ConfigurationError
from vcpd.domain.bars import BarSeries
from vcpd.store import bar_files
from vcpd.studies.cells import study_cells
from vcpd.studies.rules import EntryKind, ExitKind, StopKind

Capture = pytest.CaptureFixture[str]
PLAN = """
seed = 7
entry = ["close", "stop_order"]
holding_sessions = 40
[screen]
min_rs_universe = 5
rs_rating_stay = 50
min_rs_rating = [60, 80]
[stop]
own = true
percent = [5, 8]
[exit]
hold = true
half_r = 2
[validation]
sealed_months = 6
"""


def _run(*words: object) -> int:
    return main([str(word) for word in words])


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plan") / "study.toml"
    path.write_text(PLAN, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def bars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The planted market as a file."""
    panel = planted_panel(3, leaders=6, walkers=14, bars=700)
    path = tmp_path_factory.mktemp("bars") / "bars.parquet"
    series = [
        BarSeries.from_columns(symbol, panel.sessions, tuple(panel.values[:4, row]), panel.values[4, row])
        for row, symbol in enumerate(panel.symbols)
    ]
    bar_files.write_bars(path, series)
    return path


def test_a_plan_is_read_with_a_single_value_for_a_list(plan: Path) -> None:
    found = read_plan(plan, Thresholds())
    assert found.entry == (EntryKind.CLOSE, EntryKind.STOP_ORDER)
    assert [setting.min_rs_rating for setting in found.settings] == [60, 80]
    assert found.varied == ("min_rs_rating",)
    assert [rule.kind for rule in found.stop.rules] == [StopKind.OWN, StopKind.PERCENT, StopKind.PERCENT]
    assert [(rule.kind, rule.value) for rule in found.exit.rules] == [(ExitKind.HOLD, 0), (ExitKind.HALF, 2)]
    assert len(study_cells(found)) == 2 * 2 * 3 * 2


def test_thresholds_that_the_plan_does_not_name_are_the_configurations() -> None:
    (setting,) = parse_plan({"screen": {"min_rs_rating": 75}}, Thresholds(max_stop_pct=6.0)).settings
    assert (setting.min_rs_rating, setting.max_stop_pct) == (75, 6.0)


def test_every_problem_of_a_plan_is_named_with_its_place() -> None:
    raw = {
        "seed": "x",
        "entry": ["close", "later"],
        "first": "2024-01-01",
        "stop": {"percnt": 5, "atr": [0]},
        "exit": {"target_r": [2, "three"]},
        "screen": {"min_rs_rating": [70, 700], "max_depth": 3},
        "settings": [],
    }
    with pytest.raises(ConfigurationError) as caught:
        parse_plan(raw, Thresholds(), "study.toml")
    problems = "\n".join(caught.value.problems)
    for text in (
        "study.toml: seed: expected `int`, got `str`",
        "study.toml: entry: ",
        "study.toml: stop.percnt: unknown key; did you mean `percent`?",
        "study.toml: stop.atr: expected `float` > 0.0",
        "study.toml: exit.target_r: expected `float`, got `str`",
        "study.toml: screen.min_rs_rating: expected `int` <= 99",
        "study.toml: screen.max_depth: unknown key",
        "study.toml: settings: unknown key; thresholds belong in [screen]",
    ):
        assert text in problems, (text, problems)


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        ({"screen": {"min_swing_pct": 6.0, "max_swing_pct": 4.0}}, "min_swing_pct must be at most max_swing"),
        ({"screen": {"min_rs_rating": []}}, "screen.min_rs_rating: expected at least one value"),
        ({"screen": 3}, "screen: expected a table, was 3"),
        ({"entry": []}, "entry: expected at least one of close, next_open, stop_order"),
        ({"holding_sessions": []}, "holding_sessions and [portfolio]: expected at least one value"),
    ],
)
def test_a_contradiction_is_refused(raw: dict[str, object], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem.replace("[", r"\[")):
        parse_plan(raw, Thresholds())


def test_a_study_prints_universe_cells_and_their_number(bars: Path, plan: Path, capsys: Capture) -> None:
    assert _run("study", "--bars", bars, "--plan", plan) == EXIT_OK
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("20 symbols from 2015-01-01 to ")
    assert lines[1].startswith("The file holds survivors only")
    assert any("the 10 best of 24 cells" in line for line in lines)


def test_a_study_is_the_same_by_workers(
    bars: Path, plan: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _run("study", "--bars", bars, "--plan", plan, "--json") == EXIT_OK
    here = capsys.readouterr().out
    monkeypatch.setattr(row_mapping, "MIN_BARS_FOR_WORKERS", 0)
    assert _run("study", "--bars", bars, "--plan", plan, "--json") == EXIT_OK
    assert capsys.readouterr().out == here
    assert len(json.loads(here)["result"]["cells"]) == 24


def test_study_history_screen_and_risk_are_the_same_by_a_cluster(
    bars: Path, plan: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_mapping, "MIN_BARS_FOR_WORKERS", 0)
    config = tmp_path / "config.toml"
    config.write_text("[workers]\nchunk_rows = 7\n[dask]\nfallback = false\n", encoding="utf-8")
    common = ("--bars", bars, "--json", "--config", config)
    commands: tuple[tuple[object, ...], ...] = (
        ("study", "--plan", plan, *common),
        ("history", *common),
        ("screen", "--all", *common),
        ("risk", *common),
    )
    here = []
    for words in commands:
        assert _run(*words) == EXIT_OK
        here.append(capsys.readouterr().out)
    with dask_processes(tmp_path / "dask") as cluster:
        cluster.start_scheduler()
        cluster.start_worker("cache of one machine")
        cluster.start_worker("cache of another")
        cluster.wait_for_workers(2)
        engine = ("--engine", "dask", "--scheduler", cluster.address)
        for words, alone in zip(commands, here, strict=True):
            assert _run(*words, *engine) == EXIT_OK
            assert capsys.readouterr().out == alone


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--engine", "dask"), "expected --scheduler ADDRESS"),
        (("--scheduler", "tcp://a:1"), "only with --engine dask"),
        (("--engine", "dask", "--scheduler", "host"), "expected tcp://HOST:PORT or tls://HOST:PORT"),
        (("--engine", "dask", "--scheduler", "tls://a:1"), "tls://a:1: scheduler: tls:// needs tls_ca_file"),
    ],
)
def test_an_engine_without_a_usable_address_is_an_error(
    bars: Path, plan: Path, capsys: Capture, words: tuple[str, ...], said: str
) -> None:
    assert _run("study", "--bars", bars, "--plan", plan, *words) == EXIT_BAD_INPUT
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("command", ["screen", "risk"])
def test_an_engine_needs_bars_where_the_daemon_would_be_asked(command: str, capsys: Capture) -> None:
    assert _run(command, "--engine", "local") == EXIT_BAD_INPUT
    assert "--engine and --scheduler need --bars" in capsys.readouterr().err


def test_the_report_is_written_whole(bars: Path, plan: Path, tmp_path: Path, capsys: Capture) -> None:
    assert _run("study", "--bars", bars, "--plan", plan, "--out", tmp_path, "--json") == EXIT_OK
    printed = json.loads(capsys.readouterr().out)
    assert json.loads((tmp_path / "study.json").read_text(encoding="utf-8")) == printed
    assert (tmp_path / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    cells = pl.read_parquet(tmp_path / "cells.parquet")
    assert cells.height == 24
    assert {"screen.min_rs_rating", "mean_after_r", "sharpe"} <= set(cells.columns)
    best = printed["breakdown"]["cell"]
    trades = pl.read_parquet(tmp_path / "trades.parquet")
    assert trades.height == printed["result"]["cells"][best]["trades"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "cells.parquet", "report.html", "studies.json", "study.json", "trades.parquet",
    ]  # fmt: skip


def test_trades_are_split_by_the_regime_of_an_index(
    bars: Path, plan: Path, tmp_path: Path, capsys: Capture
) -> None:
    index = tmp_path / "index.parquet"
    frame = pl.read_parquet(bars)
    (name, *_) = frame["symbol"].unique().sort()
    frame.filter(pl.col("symbol") == name).with_columns(symbol=pl.lit("NIFTY 500")).write_parquet(index)
    assert _run("study", "--bars", bars, "--plan", plan, "--index", index, "--json") == EXIT_OK
    found = json.loads(capsys.readouterr().out)
    regime = found["splits"]["regime"]
    assert sum(entry["purchases"] for entry in regime.values()) == sum(found["breakdown"]["counts"])
    assert set(found["splits"]) == set(found["splits_before"]) == {"regime", "score decile", "state"}
    for name in ("score decile", "state"):
        parts = found["splits"][name].values()
        assert sum(entry["purchases"] for entry in parts) == sum(found["breakdown"]["counts"])


def test_sealed_months_are_opened_once_and_recorded(
    bars: Path, plan: Path, tmp_path: Path, capsys: Capture
) -> None:
    words = ("study", "--bars", bars, "--plan", plan)
    assert _run(*words, "--open-sealed") == EXIT_BAD_INPUT
    assert "--open-sealed: expected --out DIR too" in capsys.readouterr().err
    assert _run(*words, "--out", tmp_path) == EXIT_OK
    first = capsys.readouterr().out
    assert "cells tried: 24\n" in first
    assert "sealed months, cell" not in first
    assert _run(*words, "--out", tmp_path, "--open-sealed") == EXIT_OK
    opened = capsys.readouterr().out
    assert "sealed months, cell" in opened
    assert "opened before" not in opened
    assert "opened before" not in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert _run(*words, "--out", tmp_path, "--open-sealed") == EXIT_OK
    assert "They were opened before (" in capsys.readouterr().out
    assert "They were opened before (" in (tmp_path / "report.html").read_text(encoding="utf-8")
    record = json.loads((tmp_path / "studies.json").read_text(encoding="utf-8"))
    assert (len(record["studies"]), len(record["opened"])) == (3, 2)


def test_cells_of_earlier_plans_over_the_same_bars_count_as_tried(
    bars: Path, plan: Path, tmp_path: Path, capsys: Capture
) -> None:
    assert _run("study", "--bars", bars, "--plan", plan, "--out", tmp_path) == EXIT_OK
    capsys.readouterr()
    other = tmp_path / "other.toml"
    other.write_text(PLAN.replace("seed = 7", "seed = 8").replace("half_r = 2", "half_r = [1, 2]"))
    assert _run("study", "--bars", bars, "--plan", other, "--out", tmp_path) == EXIT_OK
    assert "cells tried: 60\n" in capsys.readouterr().out


def test_a_plan_without_sealed_months_opens_none(bars: Path, tmp_path: Path, capsys: Capture) -> None:
    plan = tmp_path / "open.toml"
    plan.write_text("[validation]\nsealed_months = 0", encoding="utf-8")
    words = ("study", "--bars", bars, "--plan", plan, "--out", tmp_path, "--open-sealed")
    assert _run(*words) == EXIT_BAD_INPUT
    assert "seals no months" in capsys.readouterr().err


def test_files_that_cannot_be_used_end_with_their_exit_code(
    bars: Path, tmp_path: Path, plan: Path, capsys: Capture
) -> None:
    assert _run("study", "--bars", bars, "--plan", tmp_path / "no.toml") == EXIT_BAD_INPUT
    assert "no.toml: cannot be read" in capsys.readouterr().err
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("seed = ", encoding="utf-8")
    assert _run("study", "--bars", bars, "--plan", wrong) == EXIT_BAD_INPUT
    assert "wrong.toml: is no TOML file" in capsys.readouterr().err
    wrong.write_text("sead = 1", encoding="utf-8")
    assert _run("study", "--bars", bars, "--plan", wrong) == EXIT_BAD_CONFIGURATION
    assert "wrong.toml: sead: unknown key; did you mean `seed`?" in capsys.readouterr().err
    short = write_bars(tmp_path / "short.parquet")
    wrong.write_text("[validation]\nsealed_months = 100", encoding="utf-8")
    assert _run("study", "--bars", short, "--plan", wrong) == EXIT_BAD_INPUT
    assert "sealed_months: 100 months leave no session" in capsys.readouterr().err
