"""Verbs that need neither daemon nor store, over a file of made-up bars."""

import json
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from tests.cli.bar_files import LAST, write_bars
from tests.real_data import real_data
from vcpd.cli import row_mapping
from vcpd.cli.command import (
    EXIT_BAD_CONFIGURATION,
    EXIT_BAD_INPUT,
    EXIT_FAILED,
    EXIT_OK,
    EXIT_TEMPORARY_FAILURE,
)
from vcpd.cli.main import main

Capture = pytest.CaptureFixture[str]
SETUP_KEYS = {
    "symbol", "as_of", "footprint", "weeks", "contractions", "pivot", "stop", "state", "score", "components",
    "gates", "rs_rating", "close", "provisional",
}  # fmt: skip


@pytest.fixture(scope="module")
def bars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bars(tmp_path_factory.mktemp("bars") / "bars.parquet")


def _run(*words: object) -> int:
    return main([str(word) for word in words])


def test_screen_gives_every_symbol_with_its_stable_keys(bars: Path, capsys: Capture) -> None:
    assert _run("screen", "--bars", bars, "--all", "--json") == EXIT_OK
    listing = json.loads(capsys.readouterr().out)
    assert list(listing) == ["as_of", "count", "groups", "items", "score_note"]
    found = listing["items"]
    assert len(found) == listing["count"] == 8
    assert all(entry.keys() >= SETUP_KEYS and entry["as_of"] == str(LAST) for entry in found)


def test_the_json_of_one_symbol_is_a_list_of_its_judgement(bars: Path, capsys: Capture) -> None:
    """As `explain` prints it, with or without a followed base."""
    assert _run("screen", "--bars", bars, "--symbol", "aab", "--all", "--json") == EXIT_OK
    (judged,) = json.loads(capsys.readouterr().out)
    assert (judged["symbol"], judged["as_of"]) == ("AAB", str(LAST))
    assert _run("explain", "AAB", "--bars", bars, "--json") == EXIT_OK
    (explained,) = json.loads(capsys.readouterr().out)
    assert (explained["symbol"], explained["score"]) == (judged["symbol"], judged["score"])


def test_a_rarely_traded_share_is_left_out_unless_it_is_asked_for(
    bars: Path, tmp_path: Path, capsys: Capture
) -> None:
    frame = pl.read_parquet(bars)
    recent = frame["date"].unique().sort()[-20]
    idle = (pl.col("symbol") == "AAC") & (pl.col("date") >= recent)
    prices = {
        name: pl.when(idle).then(pl.col("close")).otherwise(pl.col(name)) for name in ("open", "high", "low")
    }
    rare = tmp_path / "rare.parquet"
    frame.with_columns(**prices).write_parquet(rare)
    assert _run("screen", "--bars", rare, "--all", "--json") == EXIT_OK
    captured = capsys.readouterr()
    reasons = {entry["symbol"]: entry["reason"] for entry in json.loads(captured.out)["items"]}
    assert "32 % of its last 63 sessions had no volume or no range" in reasons["AAC"]
    assert [symbol for symbol, reason in reasons.items() if reason is not None] == ["AAC"]
    assert "left out as rarely traded: 1 " in captured.err
    assert _run("explain", "AAC", "--bars", rare) == EXIT_OK
    captured = capsys.readouterr()
    assert "not evaluated" not in captured.out
    assert "AAC: 32 % of its last 63 sessions" in captured.err
    settings = tmp_path / "config.toml"
    settings.write_text("[universe]\nmax_idle_pct = 100\n", encoding="utf-8")
    assert _run("screen", "--bars", rare, "--all", "--json", "--config", settings) == EXIT_OK
    assert all(entry["reason"] is None for entry in json.loads(capsys.readouterr().out)["items"])


def test_a_verdict_on_a_file_does_not_depend_on_the_folder_one_stands_in(
    bars: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.toml").write_text("nonsense = 1\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert _run("screen", "--bars", bars, "--all") == EXIT_OK
    assert _run("screen", "--bars", bars, "--config", "config.toml") == EXIT_BAD_CONFIGURATION
    assert "nonsense" in capsys.readouterr().err


def test_explain_names_gates_of_a_past_session(bars: Path, capsys: Capture) -> None:
    assert _run("explain", "nse:aab", "--bars", bars, "--as-of", "2025-05-30") == EXIT_OK
    assert capsys.readouterr().out.startswith("AAB after 2025-05-30")
    assert _run("explain", "ZZZ", "--bars", bars) == EXIT_BAD_INPUT
    assert "ZZZ: not in" in capsys.readouterr().err


def test_a_doubtful_history_is_named_and_judged_all_the_same(
    bars: Path, tmp_path: Path, capsys: Capture
) -> None:
    """A split that the file forgot: whoever looks at that symbol, or at all, is told on standard error."""
    early = (pl.col("symbol") == "AAB") & (pl.col("date") < date(2025, 5, 2))
    prices = [
        pl.when(early).then(pl.col(name) * 5).otherwise(pl.col(name)).alias(name)
        for name in ("open", "high", "low", "close")
    ]
    split = tmp_path / "split.parquet"
    pl.read_parquet(bars).with_columns(prices).write_parquet(split)
    for words in (("screen",), ("risk",), ("explain", "AAB")):
        assert _run(*words, "--bars", split) == EXIT_OK
        assert "suspect data, the daemon excludes it: AAB 2025-05-02" in capsys.readouterr().err
    for sound in (("explain", "AAC"), ("explain", "AAB", "--as-of", "2025-04-30")):
        assert _run(*sound, "--bars", split) == EXIT_OK
        assert capsys.readouterr().err == ""


def test_a_history_leaves_out_by_name_what_is_doubtful_in_its_span(
    bars: Path, tmp_path: Path, capsys: Capture
) -> None:
    """However long ago: an old split is a purchase with a result that nobody ever had."""
    early = (pl.col("symbol") == "AAB") & (pl.col("date") < date(2024, 5, 2))
    prices = [
        pl.when(early).then(pl.col(name) * 5).otherwise(pl.col(name)).alias(name)
        for name in ("open", "high", "low", "close")
    ]
    split = tmp_path / "split.parquet"
    pl.read_parquet(bars).with_columns(prices).write_parquet(split)
    config = tmp_path / "config.toml"
    config.write_text("[quality]\nrecent_sessions = 20\n")
    words = ("history", "--bars", split, "--config", config)
    assert _run(*words, "--json") == EXIT_OK
    found = json.loads(capsys.readouterr().out)
    (left_out,) = found["left_out"]
    assert (left_out["symbol"], left_out["session"]) == ("AAB", "2024-05-02")
    assert "overnight" in left_out["reason"]
    assert _run(*words) == EXIT_OK
    said = capsys.readouterr()
    assert "excluded: 1 symbols with suspect bars" in said.out
    assert "vcpd: left out: AAB 2024-05-02: " in said.err
    whole = pl.read_parquet(split)
    assert found["judged_sessions"] == whole.filter(pl.col("symbol") != "AAB").height


def test_risk_scores_the_whole_file(bars: Path, capsys: Capture) -> None:
    assert _run("risk", "--bars", bars, "--json") == EXIT_OK
    assert all(load["score"] is not None for load in json.loads(capsys.readouterr().out))
    assert _run("risk", "--bars", bars, "--symbol", "AAC") == EXIT_OK
    assert "AAC" in capsys.readouterr().out


def test_size_shows_every_step_and_keeps_the_given_risk(bars: Path, capsys: Capture) -> None:
    words = ("size", "--bars", bars, "--symbol", "AAA", "--equity", 1_000_000, "--entry", 100, "--stop", 95)
    assert _run(*words, "--risk-pct", 0.5, "--json") == EXIT_OK
    sizing = json.loads(capsys.readouterr().out)
    assert 0 < sizing["quantity"] <= 1_000
    assert sizing["risk_amount"] == sizing["quantity"] * 5
    assert _run(*words) == EXIT_OK
    said = capsys.readouterr().out
    for step in sizing["steps"]:
        assert step["name"] in said
    assert said.count("<- decides") == 1


def test_a_size_of_nothing_is_exit_1_with_its_reason(bars: Path, capsys: Capture) -> None:
    words = ("size", "--bars", bars, "--symbol", "AAA", "--equity", 1000, "--entry", 100, "--stop", 70)
    assert _run(*words) == EXIT_FAILED
    assert "0 shares: " in capsys.readouterr().out


def test_impossible_sizes_are_refused(bars: Path, capsys: Capture) -> None:
    words = ("size", "--bars", bars, "--symbol", "AAA", "--equity", 1000, "--entry", 100)
    assert _run(*words, "--stop", 120) == EXIT_BAD_INPUT
    assert _run(*words, "--stop", 90, "--risk-pct", 50) == EXIT_BAD_INPUT
    assert "at most 10" in capsys.readouterr().err


def test_charts_are_written_by_the_name_of_the_file(bars: Path, tmp_path: Path, capsys: Capture) -> None:
    drawn, painted = tmp_path / "a.svg", tmp_path / "a.png"
    assert _run("chart", "AAA", "--bars", bars, "-o", drawn, "--theme", "dark") == EXIT_OK
    assert _run("chart", "AAA", "--bars", bars, "-o", painted, "--as-of", "2025-05-30") == EXIT_OK
    assert drawn.read_text(encoding="utf-8").startswith(("<svg", "<?xml"))
    assert painted.read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "a.svg"]
    assert _run("chart", "AAA", "--bars", bars, "-o", tmp_path / "a.gif") == EXIT_BAD_INPUT
    assert _run("chart", "AAA", "--bars", bars, "-o", tmp_path / "no" / "a.svg") == EXIT_TEMPORARY_FAILURE
    assert "cannot write" in capsys.readouterr().err


def test_without_a_snapshot_a_chart_says_where_it_would_come_from(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[daemon]\nstate_dir = "state"\n', encoding="utf-8")
    assert _run("chart", "AAA", "--config", path, "-o", tmp_path / "a.svg") == EXIT_TEMPORARY_FAILURE
    assert "the first collect fetches them" in capsys.readouterr().err


def test_history_gives_lives_and_base_rates(bars: Path, tmp_path: Path, capsys: Capture) -> None:
    table = tmp_path / "lives.parquet"
    words = ("history", "--bars", bars, "--from", "2025-01-01", "--to", "2025-06-30")
    assert _run(*words, "--json") == EXIT_OK
    found = json.loads(capsys.readouterr().out)
    sessions = pl.read_parquet(bars).filter(pl.col("date").is_between(date(2025, 1, 1), LAST)).height
    assert found["judged_sessions"] == sessions == found["rates"]["every close"]["entries"]
    assert _run(*words) == EXIT_OK
    said = capsys.readouterr().out
    assert "trend template and first close above the 50-day high" in said
    assert said.count("median R") == 2  # of the purchases, and of their differences
    assert "fewer than 12 allow no statement" in said
    assert found["conclusion"] in said.replace("\n", " ")
    assert found["cost_pct"] == 0.3
    assert _run("history", "--bars", bars, "--from", "2025-02-01", "--to", "2025-01-01") == EXIT_BAD_INPUT
    assert _run("history", "--bars", bars, "--from", "2030-01-01") == EXIT_BAD_INPUT
    assert "no session between 2030-01-01 and its last bar" in capsys.readouterr().err
    assert not table.exists()


def test_history_of_real_bars_is_the_same_by_workers_and_becomes_a_table(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, index = pl.read_parquet(real_data("nse_fno208.parquet")), real_data("nse_indices.parquet")
    bars, table = tmp_path / "bars.parquet", tmp_path / "lives.parquet"
    some = whole["symbol"].unique().sort().head(60).to_list()
    whole.filter(pl.col("symbol").is_in(some)).write_parquet(bars)
    words = ("history", "--bars", bars, "--index", index, "--from", "2025-01-01")
    assert _run(*words, "--json") == EXIT_OK
    alone = json.loads(capsys.readouterr().out)
    monkeypatch.setattr(row_mapping, "MIN_BARS_FOR_WORKERS", 0)
    assert _run(*words, "--json", "--parquet", table) == EXIT_OK
    said = capsys.readouterr()
    together = json.loads(said.out)
    assert together["setups"] == alone["setups"]
    assert together["rates"]["every close"]["entries"] == alone["rates"]["every close"]["entries"]
    lives = pl.read_parquet(table)
    assert {"symbol", "found_on", "outcome_result_r", "outcome_reached_2r", "reason"} <= set(lives.columns)
    assert lives.schema["found_on"] == lives.schema["outcome_entry_date"] == pl.Date
    assert 0 < lives.height == len(alone["setups"])
    assert f"{lives.height} bases" in said.err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("symbol,date,open,high,low,close\nA,2025-06-30,1,1,1,1\n", "volume"),
        ("symbol,date,open,high,low,close,volume\nA,tomorrow,1,1,1,1,1\n", "tomorrow"),
        ("", "empty"),
    ],
)
def test_an_unusable_file_is_exit_65_with_its_place(
    tmp_path: Path, capsys: Capture, content: str, said: str
) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(content, encoding="utf-8")
    assert _run("screen", "--bars", path) == EXIT_BAD_INPUT
    words = capsys.readouterr().err
    assert str(path) in words
    assert said in words


def test_rows_that_break_a_law_are_kept_apart_and_reported(
    bars: Path, tmp_path: Path, capsys: Capture
) -> None:
    path = tmp_path / "bars.csv"
    frame = pl.read_parquet(bars)
    broken = frame.with_columns(high=pl.when(pl.int_range(pl.len()) == 7).then(0.5).otherwise(pl.col("high")))
    broken.write_csv(path)
    assert _run("screen", "--bars", path) == EXIT_OK
    words = capsys.readouterr().err
    assert "1 rows kept apart" in words
    assert "row 9" in words


def test_an_index_without_the_wanted_symbol_is_refused(bars: Path, capsys: Capture) -> None:
    assert _run("screen", "--bars", bars, "--index", bars, "--index-symbol", "NIFTY") == EXIT_BAD_INPUT
    assert "'NIFTY'" in capsys.readouterr().err


def _frame(symbols: int, seed: int, folder: Path) -> pl.DataFrame:
    return pl.read_parquet(write_bars(folder / "source.parquet", symbols, seed=seed))


def test_the_table_names_the_session_that_was_judged(bars: Path, capsys: Capture) -> None:
    assert _run("screen", "--bars", bars, "--all", "--as-of", "2025-06-29") == EXIT_OK
    said = capsys.readouterr()
    assert "8 symbols without a followed base" in said.out
    assert "after 2025-06-27; bases by group" in said.out
    assert "2025-06-29 is not a session (Sunday): the one before, 2025-06-27, is used" in said.err


@pytest.mark.parametrize("words", [("screen",), ("risk",), ("explain", "AAB")])
def test_a_session_that_lies_ahead_of_the_file_is_refused(
    bars: Path, capsys: Capture, words: tuple[str, ...]
) -> None:
    assert _run(*words, "--bars", bars, "--as-of", "2030-01-01") == EXIT_BAD_INPUT
    assert "2030-01-01 is after the last bar, which is of 2025-06-30" in capsys.readouterr().err
    assert _run(*words, "--bars", bars, "--as-of", "1999-01-01") == EXIT_BAD_INPUT
    assert "no bar on or before 1999-01-01" in capsys.readouterr().err


def test_bars_on_a_day_without_a_session_are_reported(tmp_path: Path, capsys: Capture) -> None:
    """Flat bars without volume are left out; bars that traded are kept, with the setting to change."""
    frame = _frame(3, 5, tmp_path)
    before = frame.filter(pl.col("date") == date(2024, 8, 14))
    close = pl.col("close")
    flat = before.with_columns(
        date=pl.lit(date(2024, 8, 15)), open=close, high=close, low=close, volume=pl.lit(0.0)
    )
    traded = before.with_columns(date=pl.lit(date(2024, 8, 17)))
    path = tmp_path / "bars.parquet"
    pl.concat([frame, flat, traded], how="vertical_relaxed").write_parquet(path)
    assert _run("risk", "--bars", path) == EXIT_OK
    said = capsys.readouterr().err
    assert "2024-08-15 is not a session of NSE (Independence Day" in said
    assert "3 bars without trading left out" in said
    assert "2024-08-17 is not a session of NSE (Saturday): 3 bars kept; add the day to" in said


def test_bars_of_another_market_are_judged_by_their_own_days(tmp_path: Path, capsys: Capture) -> None:
    frame = _frame(2, 5, tmp_path).with_columns(date=pl.col("date") + pl.duration(days=1))
    path = tmp_path / "bars.parquet"
    frame.write_parquet(path)
    assert _run("risk", "--bars", path) == EXIT_OK
    said = capsys.readouterr().err
    assert "taken as bars of another market" in said
    assert "left out" not in said


def test_every_doubt_of_the_daemon_is_reported(tmp_path: Path, capsys: Capture) -> None:
    """Sessions without a bar, missing volume and a cut last bar exclude nothing and are told all the same."""
    frame = _frame(2, 5, tmp_path)
    hole = pl.col("date").is_between(date(2025, 3, 3), date(2025, 3, 31))
    last = pl.col("date") == LAST
    middle = (pl.col("high") + pl.col("low")) / 2
    cut = frame.filter(~hole).with_columns(
        *(pl.when(last).then(middle).otherwise(pl.col(name)).alias(name) for name in ("open", "high", "low")),
        close=pl.when(last).then(middle).otherwise(pl.col("close")),
        volume=pl.when(last).then(1.0).when(pl.col("date") == date(2025, 6, 26)).then(0.0)
        .otherwise(pl.col("volume")),
    )  # fmt: skip
    path = tmp_path / "bars.parquet"
    cut.write_parquet(path)
    assert _run("explain", "AAB", "--bars", path) == EXIT_OK
    said = capsys.readouterr().err
    assert "sessions without a bar before the next one came" in said
    assert "1 of the last 50 bars have no volume" in said
    assert "perhaps cut short" in said
    assert _run("risk", "--bars", path) == EXIT_OK
    assert "note: missing sessions: 2 symbols, the latest" in capsys.readouterr().err


def test_an_index_of_closes_is_a_benchmark(bars: Path, tmp_path: Path, capsys: Capture) -> None:
    index, full = tmp_path / "NIFTY 500.csv", tmp_path / "full.parquet"
    frame = _frame(1, 9, tmp_path).with_columns(symbol=pl.lit("NIFTY 500"))
    frame.write_parquet(full)
    frame.select(Date=pl.col("date"), Close=pl.col("close")).write_csv(index)
    found = []
    for path in (full, index):
        assert _run("screen", "--bars", bars, "--index", path, "--all", "--json") == EXIT_OK
        found.append(json.loads(capsys.readouterr().out))
    assert found[0] == found[1]
    index.write_text("symbol,date,close\nNIFTY 500,2025-06-30,-\n", encoding="utf-8")
    assert _run("screen", "--bars", bars, "--index", index) == EXIT_BAD_INPUT
    assert "holds no bar with a close" in capsys.readouterr().err


def test_the_order_of_dates_can_be_said(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "day.csv"
    path.write_text("symbol,date,open,high,low,close,volume\nAAA,06/05/2025,9,10,8,9.5,5\n", encoding="utf-8")
    assert _run("risk", "--bars", path) == EXIT_BAD_INPUT
    assert "--date-order day-first or month-first" in capsys.readouterr().err
    assert _run("risk", "--bars", path, "--date-order", "month-first", "--json") == EXIT_OK
    assert json.loads(capsys.readouterr().out)[0]["as_of"] == "2025-06-05"


def test_funds_of_a_file_are_left_out_reported_and_kept_on_request(
    bars: Path, tmp_path: Path, capsys: Capture
) -> None:
    frame = pl.read_parquet(bars)
    with_fund = tmp_path / "fund.parquet"
    named = pl.col("symbol").replace("AAA", "NIFTYBEES")
    frame.with_columns(named).write_parquet(with_fund)
    symbols = {}
    for words in ((), ("--funds",), ("--symbol", "NIFTYBEES")):
        assert _run("screen", "--bars", with_fund, "--all", "--json", *words) == EXIT_OK
        printed = capsys.readouterr()
        found = json.loads(printed.out)
        symbols[words] = {item["symbol"] for item in (found if isinstance(found, list) else found["items"])}
        assert ("1 funds are left out; --funds keeps them" in printed.err) is (words == ())
    assert "NIFTYBEES" not in symbols[()]
    assert symbols["--funds",] == symbols[()] | {"NIFTYBEES"}
    assert symbols["--symbol", "NIFTYBEES"] == {"NIFTYBEES"}
