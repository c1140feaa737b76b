"""The command line as a whole: every command is found, explained, and starts quickly."""

import argparse
import itertools
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from vcpd.cli.analysis_settings import DefaultAnalysisSettings, analysis_settings
from vcpd.cli.main import COMMANDS, build_parser, main
from vcpd.config import Configuration

HEAVY = {"numpy", "polars", "msgspec", "aiohttp", "asyncpg", "rich", "structlog"}


def _parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                yield child
                yield from _parsers(child)


PARSERS = list(_parsers(build_parser()))


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.prog)
def test_each_command_has_an_action_in_the_module_that_adds_its_arguments(
    parser: argparse.ArgumentParser,
) -> None:
    """A function, found by editor and type checker; none is named in a string."""
    action = parser.get_default("action")
    assert callable(action)
    words = parser.prog.replace("-", "_").split()
    module = import_module(action.__module__)
    adds_command = getattr(module, f"add_{words[1]}_arguments", None)
    assert callable(adds_command or getattr(module, f"add_{words[-1]}_action"))  # of `vcpd positions broker`


def _words_before_a_pipe(line: str) -> list[str]:
    """The words of a shell line up to its first pipe or redirection; quoted ones are words."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|>")
    lexer.whitespace_split = True
    return list(itertools.takewhile(lambda word: word not in {"|", ">"}, lexer))


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.prog)
def test_each_help_has_an_example_that_the_command_line_understands(parser: argparse.ArgumentParser) -> None:
    epilog = parser.epilog or ""
    assert epilog.startswith("example:\n")
    for line in epilog.splitlines()[1:]:
        words = _words_before_a_pipe(line)
        assert words[0] == "vcpd"
        assert build_parser().parse_args(words[1:]).action


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.prog)
def test_each_argument_is_explained(parser: argparse.ArgumentParser) -> None:
    for action in parser._actions:
        assert action.help or action.choices or isinstance(action, argparse._SubParsersAction), action.dest


def test_the_command_line_alone_imports_nothing_heavy() -> None:
    """So that `--help` is quick, and worker processes that import the main module stay light."""
    code = "import sys, vcpd.__main__; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not HEAVY & set(loaded.split())


@pytest.mark.parametrize("command", [command.name for command in COMMANDS])
def test_a_command_line_parses_alike_with_its_command_alone(command: str) -> None:
    """`main` gives only the chosen command its arguments; its help is the same as in the whole parser."""

    def help_of(parser: argparse.ArgumentParser) -> str:
        return next(child for child in _parsers(parser) if child.prog == f"vcpd {command}").format_help()

    alone = build_parser([command])
    assert help_of(alone) == help_of(build_parser())
    assert alone.format_help() == build_parser().format_help()


def test_the_status_command_imports_neither_tables_nor_analysis() -> None:
    """It must answer within a second on a machine under load."""
    code = "import sys, vcpd.cli.status; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"rich", "polars", "scipy", "aiohttp", "psycopg"} & set(loaded.split())


def test_a_screen_of_a_file_imports_neither_the_tree_of_settings_nor_what_asks_a_daemon() -> None:
    code = "import sys, vcpd.cli.screen; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"vcpd.config", "http.client", "asyncio", "vcpd.ports"} & set(loaded.split())


def test_the_settings_of_a_file_are_the_defaults_of_the_configuration() -> None:
    ours, whole = DefaultAnalysisSettings(), Configuration()
    sections = [name for name in vars(DefaultAnalysisSettings) if not name.startswith("_")]
    assert len(sections) == 8
    assert [getattr(ours, name) for name in sections] == [getattr(whole, name) for name in sections]
    arguments = argparse.Namespace(bars=Path("bars.parquet"), config=None)
    assert isinstance(analysis_settings(arguments), DefaultAnalysisSettings)


def test_the_help_of_all_commands_imports_nothing_heavy() -> None:
    code = "import sys, vcpd.cli.main as m\ntry: m.main(['--help'])\nexcept SystemExit: print(*sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not HEAVY & {name.partition(".")[0] for name in shown.splitlines()[-1].split()}


@pytest.mark.parametrize("words", [["--help"], ["jobs", "--help"], ["--version"]])
def test_help_and_version_are_exit_0(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 0
    assert "vcpd" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [[], ["nonsense"], ["jobs", "next", "--days", "0"], ["size", "--symbol", "A", "--equity", "nan"],
     ["screen", "--as-of", "yesterday"], ["run", "--now", "2025-06-30T18:30:00"],
     ["export", "everything", "-o", "x"], ["chart", "A", "--sessions", "-5"]],
)  # fmt: skip
def test_what_cannot_be_understood_is_exit_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert "usage: vcpd" in capsys.readouterr().err


def test_an_option_before_a_nested_command_holds_for_it() -> None:
    parsed = build_parser().parse_args(["jobs", "--config", "a.toml", "--json", "next"])
    assert (str(parsed.config), parsed.json) == ("a.toml", True)


def test_a_reader_that_goes_away_is_no_error() -> None:
    command = f"{shlex.quote(sys.executable)} -m vcpd calendar 2026 | head -1"
    ended = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=True
    )
    assert ended.stderr == ""
    assert ended.stdout.startswith("NSE 2026")
