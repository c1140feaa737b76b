"""Commands that ask the daemon load neither the compiler nor what reads bar files."""

import subprocess
import sys
from pathlib import Path

import pytest

COMMANDS = (
    ("setups",),
    ("screen",),
    ("explain", "INFY"),
    ("risk",),
    ("size", "--symbol", "INFY"),
    ("scan", "--list"),
    ("regime",),
    ("sectors",),
    ("chart", "INFY"),
)
PROGRAM = """
import sys
from vcpd.cli.main import main

try:
    main()
except SystemExit:
    pass
heavy = sorted({"vcpd.analysis.base_structure", "polars"} & set(sys.modules))
print("loaded:", *heavy)
"""


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_nothing_heavy_is_loaded(command: tuple[str, ...], tmp_path: Path) -> None:
    """Half a second and 90 MB of each command that only shows what the daemon has computed."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "loaded:", done.stdout
