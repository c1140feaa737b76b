"""`vcpd watchlist note` and `vcpd watchlist notes` against a scripted daemon."""

import csv
import io
import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from tests.cli.scripted_daemon import call, serving, sources
from tests.fakes.web import FakeMarks
from vcpd.cli.command import EXIT_BAD_INPUT, EXIT_OK
from vcpd.domain.instruments import SymbolMark

Capture = pytest.CaptureFixture[str]
LOOKED_AT = date(2025, 6, 30)


async def _run(folder: Path, marks: FakeMarks, *words: object) -> int:
    async with serving(folder, replace(sources(), marks=marks)) as path:
        return await call("watchlist", *words, "--config", path)


async def test_a_note_is_written_replaced_and_removed(tmp_path: Path, capsys: Capture) -> None:
    marks = FakeMarks()
    marks.kept["NSE:AAA"] = SymbolMark("NSE:AAA", starred=True, seen=LOOKED_AT)
    assert await _run(tmp_path, marks, "note", "aaa", "wait for volume") == EXIT_OK
    assert capsys.readouterr().out == "NSE:AAA: wait for volume\n"
    assert marks.kept["NSE:AAA"] == SymbolMark("NSE:AAA", True, "wait for volume", LOOKED_AT)
    assert await _run(tmp_path, marks, "note", "NSE:AAA", "sold", "--json") == EXIT_OK
    assert json.loads(capsys.readouterr().out)["note"] == "sold"
    assert await _run(tmp_path, marks, "note", "AAA", "") == EXIT_OK
    assert capsys.readouterr().out == "NSE:AAA: the note is removed\n"
    assert marks.kept["NSE:AAA"].note == ""


async def test_a_note_that_is_too_long_is_refused(tmp_path: Path, capsys: Capture) -> None:
    marks = FakeMarks()
    assert await _run(tmp_path, marks, "note", "AAA", "x" * 2001) == EXIT_BAD_INPUT
    assert "note" in capsys.readouterr().err
    assert marks.kept == {}


async def test_what_is_kept_is_listed_as_table_csv_and_json(tmp_path: Path, capsys: Capture) -> None:
    marks = FakeMarks()
    assert await _run(tmp_path, marks, "notes") == EXIT_OK
    assert "vcpd watchlist note SYMBOL TEXT" in capsys.readouterr().out
    marks.kept["NSE:AAA"] = SymbolMark("NSE:AAA", True, "wait for volume", LOOKED_AT)
    marks.kept["NSE:BBB"] = SymbolMark("NSE:BBB", starred=False, note="sold")
    assert await _run(tmp_path, marks, "notes") == EXIT_OK
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["NSE:AAA", "*", "2025-06-30", "wait", "for", "volume"] in lines
    assert ["NSE:BBB", "sold"] in lines
    assert await _run(tmp_path, marks, "notes", "--csv") == EXIT_OK
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["symbol"], row["note"]) for row in rows] == [
        ("NSE:AAA", "wait for volume"),
        ("NSE:BBB", "sold"),
    ]
    assert await _run(tmp_path, marks, "notes", "--json") == EXIT_OK
    assert json.loads(capsys.readouterr().out)["count"] == 2
