"""The command line as a whole: every verb is found, explained, and quick to reach."""

import argparse
import shlex
import subprocess
import sys
from collections.abc import Iterator

import pytest

from vcpd.cli.command import load_action
from vcpd.cli.main import build_parser, main

HEAVY = {"numpy", "numba", "polars", "msgspec", "aiohttp", "asyncpg", "rich", "structlog"}


def _parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                yield child
                yield from _parsers(child)


VERBS = list(_parsers(build_parser()))


@pytest.mark.parametrize("parser", VERBS, ids=lambda parser: parser.prog)
def test_each_verb_leads_to_a_function_that_is_there(parser: argparse.ArgumentParser) -> None:
    assert callable(load_action(parser.get_default("verb")))


@pytest.mark.parametrize("parser", VERBS, ids=lambda parser: parser.prog)
def test_each_help_has_an_example_that_the_command_line_understands(parser: argparse.ArgumentParser) -> None:
    epilog = parser.epilog or ""
    assert epilog.startswith("example:\n")
    for line in epilog.splitlines()[1:]:
        words = shlex.split(line.partition("|")[0].partition(">")[0])
        assert words[0] == "vcpd"
        assert build_parser().parse_args(words[1:]).verb


@pytest.mark.parametrize("parser", VERBS, ids=lambda parser: parser.prog)
def test_each_argument_is_explained(parser: argparse.ArgumentParser) -> None:
    for action in parser._actions:
        assert action.help or action.choices or isinstance(action, argparse._SubParsersAction), action.dest


def test_the_command_line_alone_imports_nothing_heavy() -> None:
    """So that `--help` is quick, and worker processes that import the main module stay light."""
    code = "import sys, vcpd.__main__; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not HEAVY & set(loaded.split())


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


def test_what_stands_before_a_nested_verb_holds_for_it() -> None:
    parsed = build_parser().parse_args(["jobs", "--config", "a.toml", "--json", "next"])
    assert (str(parsed.config), parsed.json) == ("a.toml", True)


def test_a_reader_that_goes_away_is_no_error() -> None:
    command = f"{shlex.quote(sys.executable)} -m vcpd calendar 2026 | head -1"
    ended = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=True
    )
    assert ended.stderr == ""
    assert ended.stdout.startswith("NSE 2026")
