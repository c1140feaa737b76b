"""Every benchmark in turn, each in a process of its own: `python -m benchmarks [--only NAME]`."""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
ORDER = (
    "cold_start",
    "first_result",
    "collection",
    "evening",
    "last_second",
    "store",
    "import_bars",
    "detector_speed",
    "study_speed",
    "dask_speed",
    "dask_parts",
    "detector_planted",
    "detector_robustness",
    "detector_selectivity",
    "risk",
    "market_regime",
    "positions",
    "scans",
    "limits",
    "ticker",
    "schedule_year",
    "loop",
    "watch",
    "web",
    "bhavcopy_files",
    "memory",
    "footprint",
)
LONG = frozenset({"memory", "footprint", "last_second"})  # up to half an hour: only when named
DATA = Path(os.environ.get("VCPD_DATA", FOLDER.parent / ".." / "shared" / "data"))
REAL_BARS = {
    "detector_robustness": DATA / "labelled_vcp.parquet",
    "detector_selectivity": DATA / "nse_all_half.parquet",
}


def present() -> list[str]:
    """The benchmarks that lie in this folder, in the order in which they are run."""
    return [name for name in ORDER if (FOLDER / f"{name}.py").exists()]


def run(name: str) -> int:
    """Run one as the command its documentation names; gives its exit code."""
    print(f"== {name} ==", flush=True)
    bars = REAL_BARS.get(name)
    if bars is not None and not bars.exists():
        print(f"{bars.name} is not there; set VCPD_DATA to its folder\n")
        return 0
    begun_s = time.perf_counter()
    command = [sys.executable, "-m", f"benchmarks.{name}", *(["--bars", str(bars)] if bars else [])]
    code = subprocess.run(command, cwd=FOLDER.parent, check=False).returncode
    print(
        f"-- {name}: {time.perf_counter() - begun_s:.0f} s{f', exit code {code}' if code else ''}\n",
        flush=True,
    )
    return code


def main() -> int:
    """Gives 1 when a benchmark failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", choices=present(), action="append", metavar="NAME", help="may be repeated")
    chosen = parser.parse_args().only or [name for name in present() if name not in LONG]
    codes = [run(name) for name in chosen]
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main())
