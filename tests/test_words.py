"""Names and texts use the field's words: no word of the former private vocabulary comes back."""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

from vcpd.cli.main import build_parser
from vcpd.core.deprecated_names import CONFIG_KEYS, LOG_EVENTS, WORDS

ROOT: Final = Path(__file__).resolve().parents[1]
OLD_SPELLINGS: Final = ROOT / "vcpd" / "core" / "deprecated_names.py"  # the only blanket exception
EXCEPTIONS: Final[Mapping[tuple[str, str], str]] = {
    ("vcpd/web/static/columns.js", "news"): "a key of the port's JSON, which stays",
    ("vcpd/web/static/watch.js", "news"): "the same",
}
NAME_EXCEPTIONS: Final[Mapping[tuple[str, str], str]] = {
    ("vcpd/domain/alerts.py", "told"): "a key of the port's JSON, which stays",
    ("vcpd/domain/live.py", "news"): "the same",
    ("vcpd/web/api_board.py", "news"): "the same",
    ("tests/web/test_events.py", "news"): "the same",
    ("tests/cli/test_install.py", "pretend"): "setuptools-scm's own word",
}
PAGE_SUFFIXES: Final = frozenset({".md", ".1", ".html", ".js", ".json"})
PAGES: Final = (
    *("config.toml", "README.md", "CONTRIBUTING.md", "benchmarks/README.md"),
    *(
        str(path.relative_to(ROOT))
        for folder in ("docs", "vcpd/web/static")
        for path in sorted((ROOT / folder).rglob("*"))
        if path.is_file() and path.suffix in PAGE_SUFFIXES and "vendor" not in path.parts
    ),
)
LOG_CALL: Final = re.compile(r"log\.(?:debug|info|warning|error|exception|critical)\(\s*\"([\w.]+)\"")


def _modules() -> Iterator[Path]:
    return (path for path in sorted((ROOT / "vcpd").rglob("*.py")) if path != OLD_SPELLINGS)


def _forms(word: str) -> set[str]:
    """The word with its regular endings."""
    stem = word.removesuffix("e")
    return {word, f"{word}s", f"{stem}ed", f"{stem}ing"}


FIELD_TERMS: Final = frozenset({"shelf"})  # traders' own term for a base on top of a base
OLD_WORDS: Final = {form for word in WORDS if word not in FIELD_TERMS for form in _forms(word)}


def _words(text: str) -> Iterator[str]:
    """Lower-case words of a text or of an identifier in snake or camel case."""
    return (word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", text))


def _old_words(text: str) -> list[str]:
    return [word for word in _words(text) if word in OLD_WORDS]


def _texts(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and text of every docstring, and of every name of a class, function or parameter."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield getattr(node, "lineno", 1), ast.get_docstring(node) or ""
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg


@pytest.mark.parametrize("path", list(_modules()), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_uses_the_words_of_the_field(path: Path) -> None:
    """In its name, the names of its classes, functions and parameters, and its docstrings."""
    name = str(path.relative_to(ROOT))
    found = [(1, word) for word in _old_words(path.stem)]
    for line, text in _texts(ast.parse(path.read_text(encoding="utf-8"))):
        found += [(line, word) for word in _old_words(text)]
    assert [f"{name}:{line} {word}" for line, word in found if (name, word) not in EXCEPTIONS] == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_uses_the_words_of_the_field(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert [word for word in _old_words(text) if (name, word) not in EXCEPTIONS] == []


def _sentences(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and text of every string of several words: errors, reasons, help and HELP texts, log messages."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.lineno, node.value


def test_each_text_of_the_program_uses_the_words_of_the_field() -> None:
    found = []
    for path in _modules():
        for line, text in _sentences(ast.parse(path.read_text(encoding="utf-8"))):
            found += [f"{path.relative_to(ROOT)}:{line} {word}" for word in _old_words(text)]
    assert found == []


def test_each_exception_is_needed() -> None:
    """Else the list would grow for ever."""
    for name, word in (*EXCEPTIONS, *NAME_EXCEPTIONS):
        assert word in _old_words((ROOT / name).read_text(encoding="utf-8")), (name, word)


def test_the_help_of_the_command_line_uses_the_words_of_the_field() -> None:
    assert _old_words(build_parser().format_help()) == []


def test_no_old_log_event_is_written() -> None:
    written = {event for path in _modules() for event in LOG_CALL.findall(path.read_text(encoding="utf-8"))}
    assert not written & set(LOG_EVENTS)
    assert [event for event in written if _old_words(event)] == []
    assert set(LOG_EVENTS.values()) <= written


def test_the_modules_of_tests_and_benchmarks_use_the_words_of_the_field() -> None:
    paths = [path for folder in ("tests", "benchmarks") for path in (ROOT / folder).rglob("*.py")]
    assert [str(path) for path in paths if _old_words(path.stem)] == []


def _names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and name of every class, function, parameter and variable."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id


@pytest.mark.parametrize("folder", ["vcpd", "tests", "benchmarks"])
def test_names_of_the_code_use_the_words_of_the_field(folder: str) -> None:
    """Those of tests too, and of variables; none is called `one`, whatever it is one of."""
    found = []
    for path in sorted((ROOT / folder).rglob("*.py")):
        name = str(path.relative_to(ROOT))
        for line, text in _names(ast.parse(path.read_text(encoding="utf-8"))):
            words = ["one"] if text == "one" else _old_words(text)
            found += [f"{name}:{line} {text}" for word in words if (name, word) not in NAME_EXCEPTIONS]
    assert found == []


def test_the_changelog_lists_every_renamed_setting_and_log_event() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    renamed = {old: f"{old.rpartition('.')[0]}.{new}" for old, new in CONFIG_KEYS.items()} | dict(LOG_EVENTS)
    assert [old for old, new in renamed.items() if f"| `{old}` | `{new}` |" not in text] == []


def test_an_old_word_is_recognised_in_each_form() -> None:
    """The test can fail: on a name in snake or camel case, and on a word with its endings."""
    assert _old_words("class RunYard: def tell_owner(casualties)") == ["yard", "tell", "casualties"]
    assert _old_words("It was told to sweep; sweeping yards.") == ["told", "sweep", "sweeping", "yards"]
