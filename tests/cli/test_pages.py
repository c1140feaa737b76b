"""The pages and scripts that are made from the program are what the program is."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from vcpd.cli import command
from vcpd.cli.config import config_markdown as configuration_page
from vcpd.cli.config import setting_description, setting_fields
from vcpd.cli.main import main
from vcpd.cli.reference import completion_script, man_page
from vcpd.cli.reference import manual_markdown as command_page
from vcpd.config import Configuration

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize(
    ("page", "made"),
    [
        ("configuration.md", configuration_page(Configuration())),
        ("command-line.md", command_page()),
        ("vcpd.1", man_page()),
    ],
)
def test_a_page_is_current(page: str, made: str) -> None:
    assert (DOCS / page).read_text(encoding="utf-8") == made, "run `make docs`"


def test_the_configuration_page_states_every_setting() -> None:
    page = configuration_page(Configuration())
    for section in Configuration.__struct_fields__:
        value = getattr(Configuration(), section)
        if value == {}:  # tables of plug-ins, of which none is installed
            assert f"## [{section}]" in page
            continue
        kind = type(next(iter(value.values()))) if isinstance(value, dict) else type(value)
        for name, annotation, text, _ in setting_fields(kind):
            if not hasattr(annotation, "__struct_fields__"):
                assert f"| `{name}` |" in page
                assert text == setting_description(annotation)


def test_the_man_page_is_good_roff(tmp_path: Path) -> None:
    man = shutil.which("man") or shutil.which("mandoc")
    if man is None or Path(man).name == "mandoc":
        pytest.skip("no man-db here to judge the page")
    page = tmp_path / "vcpd.1"
    page.write_text(man_page(), encoding="utf-8")
    command = [man, "--warnings", "-E", "UTF-8", "-l", "-Tutf8", str(page)]
    shown = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=True,
        env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"},
    )
    assert shown.stderr == ""
    if "minimized" not in shown.stdout:
        assert "vcpd check-config --config config.toml" in shown.stdout


def test_bash_completes_verbs_actions_and_choices(tmp_path: Path) -> None:
    path = tmp_path / "vcpd.bash"
    path.write_text(completion_script("bash"), encoding="utf-8")
    for words, expected in ((["vcpd", "job"], {"jobs"}), (["vcpd", "jobs", "re"], {"resume"}),
                            (["vcpd", "setups", "--state", "NEAR"], {"NEAR_PIVOT"})):  # fmt: skip
        line = " ".join(words)
        code = f"source {path}; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _shtab_vcpd"
        code += "; echo ${COMPREPLY[@]}"
        found = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True)
        assert set(found.stdout.split()) == expected


def test_zsh_understands_its_script(tmp_path: Path) -> None:
    zsh = shutil.which("zsh")
    if zsh is None:
        pytest.skip("no zsh here")
    path = tmp_path / "_vcpd"
    path.write_text(completion_script("zsh"), encoding="utf-8")
    assert subprocess.run([zsh, "-n", str(path)], capture_output=True, check=True).stderr == b""


@pytest.mark.parametrize("words", [["completion", "zsh"], ["manual"], ["show-config", "--markdown"]])
def test_the_verbs_print_what_was_judged_here(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    assert len(capsys.readouterr().out) > 1_000


def _exit_codes(page: str) -> dict[int, str]:
    """The rows of a page's table of exit codes: the code, and the rest of its row."""
    text = (DOCS / page).read_text(encoding="utf-8")
    table = re.search(r"(?im)^\|[^|\n]*code[^\n]*\n\|[-|]+\n((?:\|.*\n)+)", text)
    assert table is not None
    cells = [row.strip("|").split("|", 1) for row in table.group(1).splitlines()]
    return {int(code): rest for code, rest in cells}


def test_the_pages_name_every_exit_code_there_is() -> None:
    real = {
        value for name, value in vars(command).items() if name.startswith("EXIT_") and isinstance(value, int)
    }
    assert _exit_codes("command-line.md").keys() == real
    assert _exit_codes("operations.md").keys() == real - {command.EXIT_INTERRUPTED}


def test_the_operations_page_states_which_ends_the_service_manager_restarts() -> None:
    unit = (DOCS.parent / "systemd" / "vcpd.service").read_text(encoding="utf-8")
    found = re.search(r"^RestartPreventExitStatus=(.*)$", unit, re.MULTILINE)
    assert found is not None
    prevented = {command.EXIT_OK, *map(int, found.group(1).split())}
    for code, rest in _exit_codes("operations.md").items():
        answer = rest.strip(" |").rpartition("|")[2].strip()
        assert answer == ("no" if code in prevented else "yes"), code
