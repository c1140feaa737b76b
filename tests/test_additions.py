"""The table "to add something" of docs/architecture.md is true: each kind of addition is made in a copy."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from tests.additions import TOYS, Toy, apply

ROOT: Final = Path(__file__).resolve().parents[1]
MAX_EDITED_FILES: Final = 3
PLUGIN_ROWS: Final = {"market", "alert channel"}  # tests/app/test_plugins.py installs one of each
TIMEOUT_S: Final = 120


def _table() -> Mapping[str, str]:
    """What to touch, by what is added."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").split("## To add something")[1]
    rows = re.findall(r"^\| ([^|]+?) \| (.+) \|$", text.split("\n## ")[0], re.MULTILINE)
    return {name: touched for name, touched in rows if not set(name) <= {"-"} and name != "to add a"}


def _copy(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "vcpd", tmp_path / "vcpd", ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_table_has_a_row_for_each_kind() -> None:
    assert set(_table()) == set(TOYS) | PLUGIN_ROWS


@pytest.mark.parametrize("name", TOYS)
def test_no_more_than_three_files_are_edited_and_the_table_names_them(name: str) -> None:
    named = set(re.findall(r"`([\w/*]+\.?\w*)`", _table()[name]))
    edited = TOYS[name].edited_files
    assert len(edited) <= MAX_EDITED_FILES
    for file in edited:
        assert any((Path("vcpd") / pattern).match(file) or Path(file).match(pattern) for pattern in named), (
            file
        )


def _run_check(name: str, root: Path) -> subprocess.CompletedProcess[str]:
    """The check of a toy in the copy at `root`; kernels run as plain Python, which needs no compiling."""
    return subprocess.run(
        [sys.executable, "-m", "tests.additions", name],
        cwd=root,
        env=os.environ | {"PYTHONPATH": f"{root}:{ROOT}"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


@pytest.mark.parametrize(("name", "toy"), TOYS.items(), ids=TOYS)
def test_a_toy_works_after_those_edits(name: str, toy: Toy, tmp_path: Path) -> None:
    apply(toy, _copy(tmp_path))
    done = _run_check(name, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_toy_is_not_there_without_its_edits(tmp_path: Path) -> None:
    """The checks can fail."""
    done = _run_check("configuration key", _copy(tmp_path))
    assert "collect.toys: unknown key" in done.stderr
