"""The shape of the code, kept by tests: sizes of modules and functions, one meaning for each class name."""

import ast
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Final

import pytest

PACKAGE: Final = Path(__file__).resolve().parents[1] / "vcpd"
MAX_MODULE_LINES: Final = 400
MEDIAN_MODULE_LINES: Final = (110, 170)
MAX_FUNCTION_LINES: Final = 50
MEDIAN_FUNCTION_LINES: Final = 7
NINE_IN_TEN_FUNCTION_LINES: Final = 18

# Class names that stand twice, each with the reason. There is none.
SAME_NAME_ON_PURPOSE: Final[dict[str, str]] = {}

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


def _modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def _lines_by_module() -> dict[str, int]:
    modules = (path for path in _modules() if path.name != "__init__.py")
    return {str(path.relative_to(PACKAGE)): len(path.read_text().splitlines()) for path in modules}


@pytest.fixture(scope="module")
def function_lines() -> dict[str, int]:
    """Lines of each function, nested ones too, by module and line."""
    found: dict[str, int] = {}
    for path in _modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, FunctionNode) and node.end_lineno is not None:
                place = f"{path.relative_to(PACKAGE)}:{node.lineno} {node.name}"
                found[place] = node.end_lineno - node.lineno + 1
    return found


def test_no_module_is_too_long_and_the_typical_one_is_read_in_a_sitting() -> None:
    lines = _lines_by_module()
    assert {name: count for name, count in lines.items() if count > MAX_MODULE_LINES} == {}
    least, most = MEDIAN_MODULE_LINES
    assert least <= median(lines.values()) <= most


def test_functions_are_read_at_a_glance(function_lines: dict[str, int]) -> None:
    sizes = sorted(function_lines.values())
    assert {place: size for place, size in function_lines.items() if size > MAX_FUNCTION_LINES} == {}
    assert median(sizes) <= MEDIAN_FUNCTION_LINES
    assert sizes[int(len(sizes) * 0.9)] <= NINE_IN_TEN_FUNCTION_LINES


def test_a_class_name_has_one_meaning() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path in _modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(str(path.relative_to(PACKAGE)))
    twice = {name: where for name, where in places.items() if len(where) > 1}
    assert {name: where for name, where in twice.items() if name not in SAME_NAME_ON_PURPOSE} == {}
    assert SAME_NAME_ON_PURPOSE.keys() <= twice.keys(), "an exception that is no longer needed"
