"""The documentation: its commands are understood and run, its links lead somewhere, the site builds."""

import argparse
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Final

import pytest

from tests.cli.bar_files import write_bars
from tests.cli.scripted_daemon import call, serving, sources
from tests.fakes.web import setup
from vcpd.cli.command import EXIT_FAILED, EXIT_OK
from vcpd.cli.main import build_parser
from vcpd.domain.setups import BaseState

ROOT: Final = Path(__file__).resolve().parents[1]
PAGES: Final = sorted([*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")])
COMMAND: Final = re.compile(r"(?:.*\s)?(?:\.venv/bin/)?vcpd(?= [a-z])(.*)$")
PROSE_BESIDE: Final = re.compile(r"\s{2,}\S")
ENDS: Final = frozenset({">", "&", "|", ";", "or:"})  # words after which no argument of the command follows
PLACEHOLDERS: Final = {
    "NAME": "screen",
    "SYMBOL": "INFY",
    "INSTANT": "2025-06-30T18:00+05:30",
    "N": "7",
    "DATE": "2025-06-30",
}
ASK_THE_DAEMON: Final = frozenset({"status", "setups", "jobs", "alerts", "risk", "regime", "explain", "scan"})
FILE_NAMES: Final = frozenset({"bars.parquet", "indices.parquet", "index.parquet", "nse_all.parquet"})
TRADES: Final = "symbol,date,side,quantity,price,stop\nAAA,2024-06-03,buy,10,100,95\n"
SECTORS: Final = "Symbol,Industry\nAAA,Metals\nBBB,Banks\n"
# They talk to a person, run on, or take a file that the page shows.
NOT_HERE: Final = frozenset({"run", "sandbox", "login", "collect", "password", "init", "study"})


def _page_commands() -> Iterator[tuple[str, str]]:
    """Each command of a code block with the page it stands on."""
    for page in PAGES:
        fenced = False
        for line in page.read_text(encoding="utf-8").splitlines():
            fenced ^= line.startswith("```")
            if not fenced and not line.startswith("    "):
                continue
            found = COMMAND.match(PROSE_BESIDE.split(line.strip())[0].rstrip(" \\"))
            if found and "VERSION" not in line:
                yield str(page.relative_to(ROOT)), "vcpd" + found.group(1)


COMMANDS: Final = sorted(set(_page_commands()))


def _words(command: str) -> list[str]:
    words = takewhile(lambda word: word not in ENDS, shlex.split(command, comments=True)[1:])
    return [PLACEHOLDERS.get(word, word) for word in words]


def test_the_pages_hold_commands() -> None:
    assert len(COMMANDS) > 60
    assert {"docs/index.md", "docs/week.md", "README.md"} <= {page for page, _ in COMMANDS}


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_a_command_is_understood(page: str, command: str) -> None:
    words = _words(command)
    try:
        parsed = build_parser(words).parse_args(words)
    except SystemExit as ended:
        pytest.fail(f"{page}: {command}: exit {ended.code}")
    assert isinstance(parsed, argparse.Namespace)


def _is_run(command: str) -> bool:
    """Those over files, and those that ask the daemon and change nothing."""
    words = _words(command)
    if words[0] in NOT_HERE:
        return False
    if "--bars" in words:
        return True
    acts = {"run", "pause", "resume", "test"} & set(words[1:2])
    return words[0] in ASK_THE_DAEMON and not acts and "--crowding" not in words


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the pages name."""
    folder = tmp_path_factory.mktemp("pages")
    for name in FILE_NAMES:
        write_bars(folder / name)
    (folder / "tradebook.csv").write_text(TRADES, encoding="utf-8")
    (folder / "ind_nifty500list.csv").write_text(SECTORS, encoding="utf-8")
    return folder


@pytest.mark.parametrize(("page", "command"), [entry for entry in COMMANDS if _is_run(entry[1])])
async def test_a_command_runs(
    page: str, command: str, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over made-up bars, or with a daemon that answers."""
    monkeypatch.chdir(files)
    words = [word if word not in {"INFY", "TATASTEEL", "TCS"} else "AAA" for word in _words(command)]
    words = [re.sub(r"^\d{4}-\d\d-\d\d$", "2025-06-02", word) for word in words]
    listed = [setup("NSE:AAA", state=BaseState.NEAR_PIVOT), setup("NSE:BBB")]
    async with serving(tmp_path, sources(setups=listed)) as configuration:
        given = () if "--bars" in words or "--config" in words else ("--config", configuration)
        assert await call(*words, *given) in {EXIT_OK, EXIT_FAILED}, f"{page}: {command}"


def _links() -> Iterator[tuple[Path, str]]:
    """Each page with the local files that it links to."""
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if "://" not in target and not target.startswith("mailto:"):
                yield page, target


def test_links_lead_somewhere() -> None:
    broken = [f"{page.name}: {target}" for page, target in _links() if not (page.parent / target).exists()]
    assert broken == []


def test_the_site_builds_and_names_every_page(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="mkdocs-material is not installed (extra dev)")
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "mkdocs",
        "build",
        "--quiet",
        "--site-dir",
        str(tmp_path),
    ]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "week" / "index.html").is_file()
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for page in (ROOT / "docs").rglob("*.md"):
        assert f": {page.relative_to(ROOT / 'docs')}\n" in nav
