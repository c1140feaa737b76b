"""Rules of the project: imports, contents of the tree, and the named list of long tests."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HOSTS = (("py", "pi.org"), ("python", "hosted"), ("npm", "js.org"), ("npm", "js.com"), ("deb.", "debian.org"))
NAMES = "|".join(re.escape("".join(halves)) for halves in HOSTS)  # in halves: this file is looked at as well
FORBIDDEN = re.compile(rf"{NAMES}|BEGIN (RSA|EC|OPENSSH) PRIVATE KEY")
TEXT_SUFFIXES = {
    ".py",
    ".md",
    ".toml",
    ".sql",
    ".service",
    ".conf",
    ".json",
    ".html",
    ".css",
    ".js",
    ".yml",
    ".1",
    "",
}


def _tracked() -> Iterator[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout: the tracked files cannot be listed")
    for name in listed.stdout.splitlines():
        yield ROOT / name


def test_the_packages_import_only_what_they_may() -> None:
    """The contracts of pyproject.toml hold."""
    linter = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([linter], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_market_data_is_in_the_tree() -> None:
    assert [path for path in _tracked() if path.suffix in {".parquet", ".csv", ".npy", ".gz"}] == []


def test_no_file_names_a_registry_or_holds_a_key() -> None:
    readable = [path for path in _tracked() if path.suffix in TEXT_SUFFIXES and path.is_file()]
    named = [
        path for path in readable if FORBIDDEN.search(path.read_text(encoding="utf-8", errors="replace"))
    ]
    assert named == []


def test_statements_live_in_sql_files() -> None:
    """No Python module of ours holds a statement."""
    statement = re.compile(r"[\"'](SELECT|INSERT INTO|UPDATE|DELETE FROM|CREATE TABLE)\s", re.IGNORECASE)
    holding = [
        path for path in (ROOT / "vcpd").rglob("*.py") if statement.search(path.read_text(encoding="utf-8"))
    ]
    assert holding == []


def test_each_module_with_long_tests_is_named_in_the_contributors_guide() -> None:
    marker = "pytest.mark." + "long"
    paths = (ROOT / "tests").rglob("test_*.py")
    long = {str(path.relative_to(ROOT)) for path in paths if marker in path.read_text(encoding="utf-8")}
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert long == set(re.findall(r"^\| `(tests/[\w/]+\.py)` \|", text, re.MULTILINE))
