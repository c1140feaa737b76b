"""`vcpd watchlist` and its actions against a scripted daemon: tables, CSV, JSON, changes, files."""

import csv
import io
import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import msgspec
import pytest

from tests.cli.scripted_daemon import call, serving, sources
from tests.fakes.watchlists import LEVEL, WATCHED, FakeWatchlists
from vcpd.cli.command import EXIT_BAD_INPUT, EXIT_OK, EXIT_USAGE
from vcpd.domain.watchlists import LevelKind, PriceLevel

Capture = pytest.CaptureFixture[str]


async def _run(folder: Path, lists: FakeWatchlists, *words: object) -> int:
    async with serving(folder, replace(sources(), watchlists=lists)) as path:
        return await call("watchlist", *words, "--config", path)


async def test_watched_symbols_are_shown_as_table_csv_and_json(tmp_path: Path, capsys: Capture) -> None:
    crosses = PriceLevel(symbol="NSE:AAA", kind=LevelKind.CROSSES, average=50)
    reached = msgspec.structs.replace(LEVEL, id=8, level=crosses, is_reached=True)
    watched = msgspec.structs.replace(WATCHED, levels=(LEVEL, reached), snoozed_until=date(2025, 7, 15))
    lists = FakeWatchlists(items=(watched, msgspec.structs.replace(WATCHED, symbol="NSE:BBB", levels=())))
    assert await _run(tmp_path, lists) == EXIT_OK
    shown = capsys.readouterr().out
    assert "2 watched symbols after 2025-06-30" in shown
    assert "7: above 110.00 (+10.0 %)" in shown
    assert "8: crosses its 50-session average (reached)" in " ".join(shown.split())
    assert "2025-07-15" in shown
    assert "lists: banks (2)" in shown
    assert await _run(tmp_path, lists, "show", "banks", "--csv") == EXIT_OK
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["symbol"], row["kind"], row["price"], row["average"]) for row in rows] == [
        ("NSE:AAA", "above", "110.0", ""),
        ("NSE:AAA", "crosses", "", "50"),
        ("NSE:BBB", "", "", ""),
    ]
    assert await _run(tmp_path, lists, "--json") == EXIT_OK
    assert json.loads(capsys.readouterr().out)["items"][1]["symbol"] == "NSE:BBB"


async def test_without_watched_symbols_the_next_step_is_named(tmp_path: Path, capsys: Capture) -> None:
    assert await _run(tmp_path, FakeWatchlists(items=())) == EXIT_OK
    assert "no symbol is watched: add some with `vcpd watchlist add LIST SYMBOL`" in capsys.readouterr().out
    assert await _run(tmp_path, FakeWatchlists(), "show", "nobody") == EXIT_BAD_INPUT
    assert "nobody: no such list; there are: banks" in capsys.readouterr().err


async def test_every_change_is_sent(tmp_path: Path, capsys: Capture) -> None:
    lists = FakeWatchlists()
    changes: list[tuple[object, ...]] = [
        ("add", "banks", "aaa", "NSE:BBB"),
        ("remove", "banks", "aaa"),
        ("rename", "banks", "lenders"),
        ("delete", "lenders"),
        ("level", "aaa", "--above", 110, "--note", "base"),
        ("level", "aaa", "--average", 50),
        ("remove-level", 7),
        ("snooze", "aaa", "--until", "2025-07-15"),
        ("snooze", "aaa", "--end"),
    ]
    async with serving(tmp_path, replace(sources(), watchlists=lists)) as path:
        for words in changes:
            assert await call("watchlist", *words, "--config", path) == EXIT_OK
    assert [change[:2] for change in lists.changes] == [
        ("change", "banks"),
        ("change", "banks"),
        ("rename", "banks"),
        ("delete", "lenders"),
        ("level", "NSE:AAA"),
        ("level", "NSE:AAA"),
        ("remove_level", "7"),
        ("snooze", "NSE:AAA"),
        ("snooze", "NSE:AAA"),
    ]
    assert [change[2] for change in lists.changes[-2:]] == [date(2025, 7, 15), None]
    shown = capsys.readouterr().out
    assert "2 added" in shown
    assert "level 8 is set" in shown


async def test_what_was_refused_is_named_and_the_rest_is_taken(tmp_path: Path, capsys: Capture) -> None:
    lists, file = FakeWatchlists(), tmp_path / "b.txt"
    file.write_text("NSE:GONE,NSE:AAA,NSE:BBB\n", encoding="utf-8")
    assert await _run(tmp_path, lists, "import", "banks", file) == EXIT_BAD_INPUT
    printed = capsys.readouterr()
    assert "2 added" in printed.out
    assert "refused b.txt, line 1: 'NSE:GONE': no such symbol is listed" in printed.err
    assert lists.changes == [("import", "banks", ("b.txt", "NSE:GONE,NSE:AAA,NSE:BBB\n"))]
    assert await _run(tmp_path, lists, "add", "banks", "NOBODY", "--json") == EXIT_BAD_INPUT
    assert json.loads(capsys.readouterr().out)["refused"][0]["place"] == "NSE:NOBODY"
    assert await _run(tmp_path, lists, "import", "banks", tmp_path / "none.txt") == EXIT_BAD_INPUT
    assert "none.txt: No such file" in capsys.readouterr().err


async def test_a_list_is_exported_to_a_file_or_to_standard_output(tmp_path: Path, capsys: Capture) -> None:
    lists, file = FakeWatchlists(), tmp_path / "out.csv"
    assert await _run(tmp_path, lists, "export", "banks") == EXIT_OK
    assert capsys.readouterr().out == "tradingview: NSE:AAA\n"
    assert await _run(tmp_path, lists, "export", "banks", "--format", "basket", "--output", file) == EXIT_OK
    assert file.read_text(encoding="utf-8") == "basket: NSE:AAA\n"
    assert await _run(tmp_path, lists, "export", "nobody") == EXIT_BAD_INPUT
    assert "nobody: no such list; there are: banks" in capsys.readouterr().err


async def test_exactly_one_kind_of_level_is_required(tmp_path: Path) -> None:
    for words in (("level", "AAA"), ("level", "AAA", "--above", "1", "--below", "2"), ("snooze", "AAA")):
        with pytest.raises(SystemExit) as ended:
            await _run(tmp_path, FakeWatchlists(), *words)
        assert ended.value.code == EXIT_USAGE
