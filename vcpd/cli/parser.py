"""Argument parser of the command line: an error about an unknown word names the nearest known one."""

import argparse
import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

from vcpd.core.errors import BadInputError

MAX_CHOICES_SHOWN: Final = 12
FILE_OPTIONS: Final = frozenset({"--bars", "--index"})


class CommandParser(argparse.ArgumentParser):
    """Refuses unknown options in the command that was given them, and suggests the nearest name."""

    def parse_known_args(  # type: ignore[override]  # the overloads of argparse say the same
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        """Every argument must be known: a nested command refuses its own, with its own usage."""
        parsed, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self._refuse(unknown)
        return parsed, unknown

    def _refuse(self, unknown: Sequence[str]) -> NoReturn:
        options = [option for option in self._option_string_actions if option.startswith("--")]
        parts = []
        for word in unknown:
            name = word.partition("=")[0]
            parts.append(f"{word}{nearest_text(name, options)}" if name.startswith("-") else word)
        self.error(f"unknown argument{'s' if len(parts) > 1 else ''}: {', '.join(parts)}")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Refuse what is no choice; of many choices only the nearest is named."""
        choices = action.choices
        if choices is None or value in choices:
            return
        known = [str(choice) for choice in choices]
        hint = nearest_text(str(value), known) or _choices_text(known, self.prog)
        raise argparse.ArgumentError(action, f"there is no {str(value)!r}{hint}")


def require_files(words: Sequence[str]) -> None:
    """BadInputError for the first file of bars that the command line names and that is not there.

    Found before the command's module is imported, which takes a second or more.
    """
    for option, value in zip(words, [*words[1:], ""], strict=False):
        name, has_value, joined = option.partition("=")
        path = Path(joined if has_value else value)
        if name in FILE_OPTIONS and not path.exists():
            raise BadInputError(f"{path}: no such file")


def nearest_text(name: str, known: Iterable[str]) -> str:
    """`; did you mean X?` for the nearest known name; empty where none is near."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _choices_text(known: Sequence[str], program: str) -> str:
    if len(known) > MAX_CHOICES_SHOWN:
        return f"; `{program} --help` lists them"
    return f"; expected one of {', '.join(known)}"
