"""Output of commands that list: fits the terminal, is CSV or JSON where asked for."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from tests.cli.bar_files import write_bars
from tests.cli.scripted_daemon import call, serving, sources
from tests.fakes.web import setup
from vcpd.cli import output
from vcpd.cli.command import EXIT_OK
from vcpd.cli.output import fitting_columns, print_table
from vcpd.domain.setups import BaseState

Capture = pytest.CaptureFixture[str]
LONG_SYMBOL = "NSE:FENIKAALLOYCAST"


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> int:
    """A terminal of 80 columns."""
    monkeypatch.setattr(output, "console", lambda: Console(width=80, highlight=False))
    return 80


def _shown(capsys: Capture) -> str:
    return capsys.readouterr().out


async def test_setups_fit_80_columns_with_whole_symbols(narrow: int, tmp_path: Path, capsys: Capture) -> None:
    listed = [setup(LONG_SYMBOL, state=BaseState.NEAR_PIVOT), setup("NSE:INFY", state=BaseState.NEAR_PIVOT)]
    async with serving(tmp_path, sources(setups=listed)) as path:
        assert await call("setups", "--config", path) == EXIT_OK
    said = _shown(capsys)
    table = [line for line in said.splitlines() if LONG_SYMBOL in line or "NSE:INFY" in line]
    assert len(table) == 2, "one line a setup"
    assert all("NEAR_PIVOT" in line and len(line) <= narrow for line in table)
    assert "not shown: " in said


def test_a_sentence_is_folded_between_its_words(narrow: int, capsys: Capture) -> None:
    reason = "the market did not answer within the time that it has, and the run is tried again at 18:15"
    print_table("jobs", ("job", "took", "why"), [("collect", "1 min 20 s", reason)], ("took",))
    lines = _shown(capsys).splitlines()
    assert max(map(len, lines)) <= narrow
    words = [word for line in lines[3:] for word in line.split()]
    assert [word for word in words if word in reason.split()] == reason.split()
    assert not any("not shown" in line for line in lines)


def test_what_is_least_needed_goes_first() -> None:
    widths = {"symbol": 15, "state": 10, "score": 5, "why": 20}
    assert fitting_columns(widths, 56, ("score",)) == ("symbol", "state", "score", "why")
    assert fitting_columns(widths, 55, ("score",)) == ("symbol", "state", "why")
    assert fitting_columns(widths, 48, ("score",)) == ("symbol", "state")
    assert fitting_columns(widths, 5, ("score",)) == ("symbol",)


@given(widths=st.lists(st.integers(1, 40), min_size=1, max_size=12), width=st.integers(1, 200))
def test_the_columns_fit_or_are_the_first_alone(widths: Sequence[int], width: int) -> None:
    named = {f"c{number}": wide for number, wide in enumerate(widths)}
    shown = fitting_columns(named, width, ())
    assert shown == ("c0",) or sum(named[name] + output.GAP for name in shown) - output.GAP <= width
    assert list(shown) == [name for name in named if name in shown]


@pytest.mark.parametrize(
    "words", [("jobs",), ("setups",), ("alerts",), ("risk",), ("regime",), ("screen", "--all")]
)
async def test_lists_of_the_daemon_are_json_and_csv_too(
    words: tuple[str, ...], tmp_path: Path, capsys: Capture
) -> None:
    """One CSV line an item, the first one with the names."""
    async with serving(tmp_path, sources(setups=[setup("NSE:AAA"), setup("NSE:BBB")])) as path:
        assert await call(*words, "--config", path, "--json") == EXIT_OK
        found = json.loads(_shown(capsys))
        assert await call(*words, "--config", path, "--csv") == EXIT_OK
    items = found["items"] if isinstance(found, dict) else found
    rows = list(csv.DictReader(io.StringIO(_shown(capsys))))
    assert len(rows) == len(items) > 0
    texts = [name for name, value in items[0].items() if isinstance(value, str)]
    for name in texts:
        assert [row[name] for row in rows] == [item[name] or "" for item in items]


@pytest.mark.parametrize(
    "words",
    [("screen", "--all"), ("risk",), ("explain", "AAA"), ("history",),
     ("scan", "close > 1"), ("scan", "--list"), ("jobs", "next"), ("calendar", "2025")],
)  # fmt: skip
async def test_lists_that_need_no_daemon_are_csv_too(
    words: tuple[str, ...], tmp_path: Path, capsys: Capture
) -> None:
    needs_no_bars = words[0] in {"jobs", "calendar"} or "--list" in words
    bars = () if needs_no_bars else ("--bars", write_bars(tmp_path / "bars.parquet"))
    assert await call(*words, *bars, "--csv") == EXIT_OK
    said = _shown(capsys)
    rows = list(csv.DictReader(io.StringIO(said)))
    assert rows or words == ("history",), said
    assert all(None not in row and None not in row.values() for row in rows)


async def test_json_and_csv_exclude_each_other(capsys: Capture) -> None:
    with pytest.raises(SystemExit):
        await call("jobs", "--json", "--csv")
    assert "not allowed with argument" in capsys.readouterr().err
