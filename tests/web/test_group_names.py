"""The four groups of bases have the same names on page and command line, and a setup one meaning."""

import re
from pathlib import Path
from typing import Final

from vcpd.cli.main import build_parser
from vcpd.domain.setups import SetupGroup

ROOT: Final = Path(__file__).resolve().parents[2]
STATIC: Final = ROOT / "vcpd" / "web" / "static"
GROUPS: Final = [group.value for group in SetupGroup]


def _glossary_row(term: str) -> str:
    row = re.search(rf"^\| {term} \| (.*) \|$", (ROOT / "docs/glossary.md").read_text("utf-8"), re.MULTILINE)
    assert row is not None
    return row[1]


def test_page_and_command_line_name_the_groups_of_the_domain() -> None:
    script = (STATIC / "list_state.js").read_text("utf-8")
    assert re.findall(r'^  \["(\w+)", \["', script, re.MULTILINE) == GROUPS
    parser = build_parser(["setups"])
    for group in (*GROUPS, "all"):
        assert parser.parse_args(["setups", "--group", group]).group == group


def test_page_and_documentation_define_a_setup_alike() -> None:
    script = (STATIC / "glossary.js").read_text("utf-8")
    assert f'"setup": "{_glossary_row("setup").capitalize()}."' in script
