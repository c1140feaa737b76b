"""What `vcpd study` reads beside the bars: splits and bonuses, closes as traded, moves between series."""

import argparse
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from tests.study.planted import planted_panel
from vcpd.cli.command import EXIT_BAD_INPUT, EXIT_OK
from vcpd.cli.main import main
from vcpd.cli.study_universe import universe_facts
from vcpd.core.errors import BadInputError
from vcpd.domain.bars import BarSeries
from vcpd.domain.panel import Panel
from vcpd.store.bar_files import bars_frame
from vcpd.studies.dated_universe import RatioStep, SeriesStep, UniverseFacts

Capture = pytest.CaptureFixture[str]
CHANGES = "Symbol,Security,From Series,To Series,Change Date,Remarks\n"
PLAN = """
[screen]
min_rs_universe = 5
[universe]
min_price = 1_000_000
series = "EQ"
[validation]
sealed_months = 6
placebos = 0
"""


@pytest.fixture(scope="module")
def panel() -> Panel:
    return planted_panel(3, leaders=2, walkers=4, bars=320)


@pytest.fixture(scope="module")
def frame(panel: Panel) -> pl.DataFrame:
    return bars_frame(
        BarSeries.from_columns(symbol, panel.sessions, tuple(panel.values[:4, row]), panel.values[4, row])
        for row, symbol in enumerate(panel.symbols)
    )


def facts_of(panel: Panel, folder: Path, **given: Path | None) -> UniverseFacts:
    words = {"bars": folder / "none.parquet", "actions": None, "series_changes": None, "sectors": None}
    return universe_facts(panel, argparse.Namespace(**{**words, **given}))


def test_splits_and_bonuses_are_read_in_either_layout(panel: Panel, tmp_path: Path) -> None:
    own, listed = tmp_path / "own.csv", tmp_path / "list.csv"
    own.write_text("symbol,session,ratio\nl000,2015-06-01,5\nL000,2015-03-02,2\nOTHER,2015-01-05,3\n")
    listed.write_text(
        "SYMBOL,EX-DATE,PURPOSE\n"
        "L000,01-Jun-2015,Face Value Split (Sub-Division) - From Rs 10/- Per Share To Rs 2/- Per Share\n"
        "L001,02-Mar-2015,Bonus 1:1\n"
        "W000,02-Mar-2015,Dividend - Rs 2 Per Share\n"
    )
    assert facts_of(panel, tmp_path, actions=own).ratios == {
        "L000": (RatioStep(date(2015, 3, 2), 2.0), RatioStep(date(2015, 6, 1), 5.0)),
        "OTHER": (RatioStep(date(2015, 1, 5), 3.0),),
    }
    found = facts_of(panel, tmp_path, actions=listed)
    assert found.ratios is not None
    assert set(found.ratios) == {"L000", "L001"}
    assert found.shares_for_each("L000", date(2015, 5, 31)) == pytest.approx(5.0)
    assert found.shares_for_each("L001", date(2015, 3, 1)) == pytest.approx(2.0)
    assert found.shares_for_each("L001", date(2015, 3, 2)) == 1.0


def test_closes_as_traded_give_the_ratio_of_each_date(
    panel: Panel, frame: pl.DataFrame, tmp_path: Path
) -> None:
    """Five for one on the hundredth session, and two for one after the last bar of the file."""
    day: date = panel.sessions[100].item()
    split = pl.when((pl.col("symbol") == "L000") & (pl.col("date") < day)).then(10.0).otherwise(2.0)
    traded = pl.when(pl.col("symbol").is_in(["L000", "L001"])).then(split).otherwise(1.0)
    path = tmp_path / "bars.parquet"
    missing, zero = panel.sessions[79].item(), panel.sessions[69].item()  # they change nothing
    unknown = pl.when(pl.col("date") == missing).then(float("nan")).when(pl.col("date") == zero).then(0.0)
    closes = unknown.otherwise(pl.col("close") * traded)
    frame.with_columns(closes.alias("unadjusted_close")).write_parquet(path)
    found = facts_of(panel, tmp_path, bars=path)
    assert found.ratios is not None
    assert set(found.ratios) == {"L000", "L001"}
    assert found.shares_for_each("L000", panel.sessions[99].item()) == pytest.approx(10.0)
    assert found.shares_for_each("L000", day) == pytest.approx(2.0)
    assert found.shares_for_each("L001", panel.sessions[-1].item()) == pytest.approx(2.0)
    plain = tmp_path / "plain.parquet"
    frame.write_parquet(plain)
    assert facts_of(panel, tmp_path, bars=plain).ratios is None


def test_moves_between_series_are_read_from_every_list_of_a_folder(panel: Panel, tmp_path: Path) -> None:
    folder = tmp_path / "2015"
    folder.mkdir()
    (folder / "series_change_01062015.csv").write_text(CHANGES + "L000,L,EQ,BE,01-JUN-2015,-\n")
    back = "L000,L,EQ,BE,01-JUN-2015,-\nL000,L,BE,EQ,07-SEP-2015,-\n"
    (folder / "series_change_07092015.csv").write_text(CHANGES + back)
    found = facts_of(panel, tmp_path, series_changes=tmp_path)
    moves = (SeriesStep(date(2015, 6, 1), "BE", "EQ"), SeriesStep(date(2015, 9, 7), "EQ", "BE"))
    assert found.series == {"L000": moves}
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(BadInputError, match=r"empty: holds no file series_change\*\.csv"):
        facts_of(panel, tmp_path, series_changes=empty)


def test_the_first_lines_say_of_which_date_prices_and_series_are(
    frame: pl.DataFrame, tmp_path: Path, capsys: Capture
) -> None:
    bars, plan, actions = tmp_path / "bars.parquet", tmp_path / "study.toml", tmp_path / "actions.csv"
    frame.write_parquet(bars)
    plan.write_text(PLAN, encoding="utf-8")
    actions.write_text("symbol,session,ratio\nL000,2016-01-04,5\n")
    words = ["study", "--bars", str(bars), "--plan", str(plan)]
    assert main(words) == EXIT_OK
    printed = capsys.readouterr().out
    assert "Prices are those of the file: neither splits and bonuses (--actions, " in printed
    assert "min_price 1,000,000 is compared with them" in printed
    assert "Series are as of today: no moves between series were given" in printed
    assert main([*words, "--actions", str(actions)]) == EXIT_OK
    assert "later splits and bonuses of 1 symbols are undone" in capsys.readouterr().out
    assert main([*words, "--actions", str(tmp_path / "no.csv")]) == EXIT_BAD_INPUT
    assert "no.csv: cannot be read" in capsys.readouterr().err
