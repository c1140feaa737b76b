"""An unknown command, option or choice is answered with the nearest known one."""

import subprocess
import sys

import pytest

from vcpd.cli.command import EXIT_BAD_INPUT
from vcpd.cli.main import main

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["setpus"], "there is no 'setpus'; did you mean setups?"),
        (["setups", "--min-ratng", "80"], "unknown arguments: --min-ratng; did you mean --min-rating?"),
        (["setups", "--min-ratng=80"], "unknown argument: --min-ratng=80; did you mean --min-rating?"),
        (["jobs", "rnu", "screen"], "there is no 'rnu'; did you mean run?"),
        (["jobs", "run", "screen", "--no-weit"], "unknown argument: --no-weit; did you mean --no-wait?"),
        (["setups", "--state", "nearpivot"], "there is no 'NEARPIVOT'; did you mean NEAR_PIVOT?"),
        (["setups", "--order", "xyzzy"], "there is no 'xyzzy'; expected one of asc, desc"),
        (["xyzzy"], "there is no 'xyzzy'; `vcpd --help` lists them"),
        (["status", "now"], "unknown argument: now"),
    ],
)
def test_the_nearest_known_word_is_suggested(words: list[str], expected: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert expected in capsys.readouterr().err


def test_the_usage_shown_is_that_of_the_command(capsys: Capture) -> None:
    with pytest.raises(SystemExit):
        main(["setups", "--xyzzy"])
    assert capsys.readouterr().err.startswith("usage: vcpd setups ")


@pytest.mark.parametrize(
    "words",
    [
        ["screen", "--bars", "/nowhere.parquet"],
        ["history", "--bars=/nowhere.parquet"],
        ["regime", "--index", "/nowhere.parquet"],
    ],
)
def test_a_missing_file_is_named_before_anything_heavy_is_imported(words: list[str]) -> None:
    code = f"import sys, vcpd.cli.main as m; print(m.main({words!r}), *sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stderr == "vcpd: /nowhere.parquet: no such file\n"
    rc, *modules = ended.stdout.split()
    assert rc == str(EXIT_BAD_INPUT)
    assert not {"numpy", "polars", "rich", "aiohttp"} & {name.partition(".")[0] for name in modules}
