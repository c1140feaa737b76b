"""Argument parser of the command line: an error about an unknown word names the nearest known one."""

import argparse
import difflib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Final, NoReturn

from vcpd.core.errors import BadInputError

MAX_CHOICES_SHOWN: Final = 12
BARS_OPTION: Final = "--bars"
FILE_OPTIONS: Final = frozenset({BARS_OPTION, "--index"})
COMMANDS_OVER_BARS: Final = frozenset(
    {
        "screen", "explain", "scan", "risk", "size", "positions", "journal", "chart", "regime", "sectors",
        "history", "study",
    }
)  # fmt: skip


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
    for _, path in _named_files(words):
        if not path.exists():
            raise BadInputError(f"{path}: no such file")


def reading_ahead(words: Sequence[str]) -> AbstractContextManager[None]:
    """Begins to read the parquet file of --bars, so that it is read while the command's module is imported.

    Does nothing where the command evaluates no bars, or those of another kind of file, or prints its help.
    """
    bars = [path for name, path in _named_files(words) if name == BARS_OPTION]
    is_one_file = len(bars) == 1 and bars[0].suffix.lower() == ".parquet" and bars[0].is_file()
    if not is_one_file or words[0] not in COMMANDS_OVER_BARS or {"-h", "--help"} & set(words):
        return nullcontext()
    from vcpd.store.read_ahead import read_ahead  # noqa: PLC0415 - few commands read files

    return read_ahead(bars[0])


def _named_files(words: Sequence[str]) -> Iterator[tuple[str, Path]]:
    """The files of bars that the command line names, each with its option."""
    for option, value in zip(words, [*words[1:], ""], strict=False):
        name, has_value, joined = option.partition("=")
        if name in FILE_OPTIONS:
            yield name, Path(joined if has_value else value)


def nearest_text(name: str, known: Iterable[str]) -> str:
    """`; did you mean X?` for the nearest known name; empty where none is near."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _choices_text(known: Sequence[str], program: str) -> str:
    if len(known) > MAX_CHOICES_SHOWN:
        return f"; `{program} --help` lists them"
    return f"; expected one of {', '.join(known)}"
