"""`vcpd completion`: the script that completes the command line, made from its own parser."""

import argparse
from collections.abc import Iterator
from pathlib import Path

import shtab

from vcpd.cli.main import build_parser
from vcpd.cli.verbs import EXIT_OK

NAMED_LIKE_FILES = ("bars", "index")


def completion(arguments: argparse.Namespace) -> int:
    """For bash or zsh."""
    print(script(arguments.shell))
    return EXIT_OK


def script(shell: str) -> str:
    """The script, with file names completed where a file is expected."""
    parser = build_parser()
    for action in _actions(parser):
        if action.type is Path or action.dest in NAMED_LIKE_FILES:
            vars(action)["complete"] = shtab.FILE
    text: str = shtab.complete(parser, shell=shell)
    return text


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Every argument of a parser and of the verbs below it."""
    for action in parser._actions:  # noqa: SLF001 - a parser lists its arguments nowhere else
        yield action
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - the same
            for child in action.choices.values():
                yield from _actions(child)
