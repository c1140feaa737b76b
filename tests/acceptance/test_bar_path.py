"""A bar's way from the market's answer to the alert crosses few modules, as `benchmarks.bar_path` counts."""

import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
STATIONS: Final = {"jobs.collect", "kite.wire", "store.bars", "analysis.screen", "alerts.channels.webhook"}
PATIENCE_S: Final = 300.0


def test_a_bar_crosses_few_modules_from_the_market_to_the_alert() -> None:
    """In a process of its own, which profiles a whole evening and runs the kernels as plain Python.

    The script ends with 1 beyond its limits; a way that it could not follow would be short as well.
    """
    command = [sys.executable, "-m", "benchmarks.bar_path"]
    counted = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert set(counted.stdout.split()) >= STATIONS, counted.stderr
    assert counted.returncode == 0, counted.stdout
