"""Which command lines begin to read their file of bars before the command is imported."""

from contextlib import nullcontext
from pathlib import Path

import polars as pl
import pytest

from vcpd.cli.main import COMMANDS, build_parser, main
from vcpd.cli.parser import BARS_OPTION, COMMANDS_OVER_BARS, reading_ahead
from vcpd.store import read_ahead as module

SERVES_BARS = {"sandbox"}  # it reads them in a process of its own, when the daemon starts it


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "bars.parquet"
    pl.DataFrame({"symbol": ["A"]}).write_parquet(path)
    return path


def _begun(words: list[str]) -> list[Path]:
    with reading_ahead(words):
        return list(module._begun)


def test_every_command_that_evaluates_bars_of_a_file_is_listed() -> None:
    found = set()
    for command in COMMANDS:
        parser = build_parser([command.name])._subparsers
        assert parser is not None
        (group,) = parser._group_actions
        assert isinstance(group.choices, dict)
        if BARS_OPTION in group.choices[command.name]._option_string_actions:
            found.add(command.name)
    assert found - SERVES_BARS == COMMANDS_OVER_BARS


def test_the_file_of_bars_alone_is_begun(file: Path) -> None:
    assert _begun(["screen", "--bars", str(file), "--json"]) == [file]
    assert _begun(["explain", "A", f"--bars={file}", "--index", str(file)]) == [file]


def test_nothing_is_begun_without_one_parquet_file_of_bars(file: Path) -> None:
    folder = file.parent / "folder.parquet"
    folder.mkdir()
    text = file.with_suffix(".csv")
    text.write_text("symbol\n")
    for words in (
        [],
        ["screen"],
        ["screen", "--bars"],
        ["screen", "--index", str(file)],
        ["screen", "--bars", str(folder)],
        ["screen", "--bars", str(text)],
        ["screen", "--bars", str(file), "--bars", str(file)],
        ["sandbox", "--bars", str(file)],
        ["xyzzy", "--bars", str(file)],
        ["screen", "--bars", str(file), "--help"],
        ["screen", "-h", "--bars", str(file)],
    ):
        assert isinstance(reading_ahead(words), nullcontext), words


def test_a_file_that_is_no_table_is_refused_by_its_name(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_bytes(b"no table")
    assert main(["explain", "A", "--bars", str(file)]) == 65
    assert f"{file}: cannot be read as a table" in capsys.readouterr().err
