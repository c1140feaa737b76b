"""`vcpd regime` and `vcpd sectors` over files: the numbers, and what is said where they cannot be known."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.bar_files import LAST, SESSIONS, write_bars
from vcpd.cli.command import EXIT_BAD_INPUT, EXIT_OK
from vcpd.cli.main import main
from vcpd.domain.bars import BarSeries
from vcpd.domain.nse_calendar import NSE
from vcpd.store import bar_files

Capture = pytest.CaptureFixture[str]


def _run(*words: object) -> int:
    return main([str(word) for word in words])


@pytest.fixture
def bars(tmp_path: Path) -> Path:
    return write_bars(tmp_path / "bars.parquet", 24)


def _write_index(path: Path, *, with_volume: bool) -> Path:
    """Four sessions down by 0.5 % on rising volume, then one up by 2 % on much more, again and again."""
    days = NSE.sessions(LAST.replace(year=2023), LAST)[-SESSIONS:]
    change = np.where(np.arange(SESSIONS) % 5 == 4, 1.02, 0.995)
    close = (100 * np.cumprod(change)).astype(np.float64)
    volume = np.where(np.arange(SESSIONS) % 5 == 4, 900.0, 100.0 + np.arange(SESSIONS) % 5)
    series = BarSeries.from_columns(
        "NIFTY 500", days, (close,) * 4, volume if with_volume else np.full(SESSIONS, np.nan)
    )
    bar_files.write_bars(path, [series])
    return path


def _write_list(path: Path) -> Path:
    rows = [f"AA{chr(65 + n)},{('Banks', 'Energy')[n % 2]}" for n in range(24)]
    path.write_text("Symbol,Industry\n" + "\n".join(rows) + "\n")
    return path


def test_the_regime_of_files_names_term_counts_and_source(
    bars: Path, tmp_path: Path, capsys: Capture
) -> None:
    index = _write_index(tmp_path / "index.parquet", with_volume=True)
    assert _run("regime", "--bars", bars, "--index", index, "--sessions", 3, "--json") == EXIT_OK
    items = json.loads(capsys.readouterr().out)["items"]
    assert [item["session"] for item in items][-1] == "2025-06-30"
    assert len(items) == 3
    direction = items[-1]["indices"]["NIFTY 500"]
    assert direction["volume_sources"] == ["index turnover"]
    assert items[-1]["term"] == direction["term"] != "unknown"
    assert items[-1]["breadth"]["symbols"] > 20
    assert _run("regime", "--bars", bars, "--index", index) == EXIT_OK
    shown = capsys.readouterr().out
    assert "distribution days by index turnover" in shown
    assert "McClellan" in shown


def test_an_index_of_closes_alone_takes_the_traded_value_of_the_universe(
    bars: Path, tmp_path: Path, capsys: Capture
) -> None:
    index = _write_index(tmp_path / "index.parquet", with_volume=False)
    assert _run("regime", "--bars", bars, "--index", index) == EXIT_OK
    assert "by traded value of the universe" in capsys.readouterr().out


def test_a_regime_needs_an_index(bars: Path, capsys: Capture) -> None:
    assert _run("regime", "--bars", bars) == EXIT_BAD_INPUT
    assert "--index: expected a file" in capsys.readouterr().err


def test_an_index_among_the_bars_is_no_share(tmp_path: Path, capsys: Capture) -> None:
    index = _write_index(tmp_path / "index.parquet", with_volume=True)
    shares = bar_files.read_bars(write_bars(tmp_path / "shares.parquet", 24)).series
    (own,) = bar_files.read_bars(index, is_index=True).series
    both = tmp_path / "both.parquet"
    bar_files.write_bars(both, [*shares, BarSeries("NIFTY500", own.records)])
    assert _run("regime", "--bars", both, "--index", index, "--sessions", 1, "--json") == EXIT_OK
    breadth = json.loads(capsys.readouterr().out)["items"][0]["breadth"]
    assert breadth["advances"] + breadth["declines"] <= 24


def test_sectors_are_ranked_from_a_list(bars: Path, tmp_path: Path, capsys: Capture) -> None:
    named = _write_list(tmp_path / "list.csv")
    assert _run("sectors", "--bars", bars, "--sectors", named, "--json") == EXIT_OK
    items = json.loads(capsys.readouterr().out)["items"]
    assert [item["rank"] for item in items] == [1, 2]
    assert {item["sector"] for item in items} == {"Banks", "Energy"}
    assert all(item["n_symbols"] == 12 and len(item["leaders"]) == 3 for item in items)
    assert _run("sectors", "--bars", bars, "--sectors", named) == EXIT_OK
    assert "2 sectors after 2025-06-30" in capsys.readouterr().out


def test_industries_are_ranked_where_a_list_has_both_columns(
    bars: Path, tmp_path: Path, capsys: Capture
) -> None:
    plain, finer = _write_list(tmp_path / "list.csv"), tmp_path / "finer.csv"
    rows = [f"AA{chr(65 + n)},{('Banks', 'Energy')[n % 2]},Part {n % 4}" for n in range(24)]
    finer.write_text("Symbol,Sector,Industry\n" + "\n".join(rows) + "\n")
    words = ("sectors", "--bars", bars, "--level", "industry", "--sectors")
    assert _run(*words, finer, "--json") == EXIT_OK
    items = json.loads(capsys.readouterr().out)["items"]
    assert {item["sector"]: item["parent"] for item in items} == {
        "Part 0": "Banks", "Part 1": "Energy", "Part 2": "Banks", "Part 3": "Energy",
    }  # fmt: skip
    assert [item["rank"] for item in items] == [1, 2, 3, 4]
    assert _run(*words, finer) == EXIT_OK
    assert "4 industries after 2025-06-30" in capsys.readouterr().out
    assert _run(*words, plain) == EXIT_BAD_INPUT
    assert "give no industry; expected a column `Sector` beside `Industry`" in capsys.readouterr().err


def test_screen_and_explain_of_files_say_where_market_and_sector_stand(
    bars: Path, tmp_path: Path, capsys: Capture
) -> None:
    index = _write_index(tmp_path / "index.parquet", with_volume=True)
    named = _write_list(tmp_path / "list.csv")
    words = ("--bars", bars, "--index", index, "--sectors", named)
    assert _run("screen", *words, "--all", "--json") == EXIT_OK
    items = {item["symbol"]: item for item in json.loads(capsys.readouterr().out)["items"]}
    own = items["AAA"]
    assert own["sector"] == "Banks"
    market = own["market_context"]
    assert market["term"] != "unknown"
    assert (market["sector_rank"] in {1, 2}, market["sectors_ranked"]) == (True, 2)
    assert market["industry"] is None
    assert _run("explain", "AAA", *words) == EXIT_OK
    shown = capsys.readouterr().out
    assert f"sector Banks, rank {market['sector_rank']} of 2" in shown
    assert "market " in shown
    assert _run("screen", *words, "--all") == EXIT_OK
    table = capsys.readouterr().out
    assert f"{market['sector_rank']} of 2" in table
    assert "the market after 2025-06-30: " in table
    assert _run("explain", "AAA", "--bars", bars, "--json") == EXIT_OK
    assert json.loads(capsys.readouterr().out)[0]["market_context"] is None


def test_sectors_need_a_list_that_knows_the_symbols(bars: Path, tmp_path: Path, capsys: Capture) -> None:
    assert _run("sectors", "--bars", bars) == EXIT_BAD_INPUT
    assert "--sectors: expected a list" in capsys.readouterr().err
    strange = tmp_path / "strange.csv"
    strange.write_text("Symbol,Industry\nZZZ,Banks\n")
    assert _run("sectors", "--bars", bars, "--sectors", strange) == EXIT_BAD_INPUT
    assert "no symbol of the bars is in these lists" in capsys.readouterr().err


def test_a_history_is_split_by_regime_and_by_sector(bars: Path, tmp_path: Path, capsys: Capture) -> None:
    index = _write_index(tmp_path / "index.parquet", with_volume=True)
    named = _write_list(tmp_path / "list.csv")
    words = ("history", "--bars", bars, "--index", index, "--sectors", named)
    assert _run(*words, "--json") == EXIT_OK
    found = json.loads(capsys.readouterr().out)
    every_close = found["splits"]["regime"]["every close"]
    counted = found["rates"]["every close"]["counted"]
    assert sum(part["purchases"] for part in every_close.values()) == counted > 0
    assert "sector" in found["splits"]
    assert _run(*words) == EXIT_OK
    assert "by the market's regime on the evening before" in capsys.readouterr().out
    assert _run("history", "--bars", bars, "--json") == EXIT_OK
    assert json.loads(capsys.readouterr().out)["splits"] == {}
