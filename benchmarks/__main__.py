"""Every benchmark in turn, each in a process of its own: `python -m benchmarks [--only NAME]`."""

import argparse
import subprocess
import sys
import time
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
ORDER = (
    "cold_start",
    "collection",
    "evening",
    "store",
    "detector_speed",
    "detector_planted",
    "detector_robustness",
    "detector_selectivity",
    "risk",
    "limits",
    "schedule_year",
    "loop",
    "web",
    "memory",
    "bulletins",
)


def present() -> list[str]:
    """The benchmarks that lie in this folder, in the order in which they are run."""
    return [name for name in ORDER if (FOLDER / f"{name}.py").exists()]


def run(name: str) -> int:
    """Run one as the command its documentation names; gives its exit code."""
    print(f"== {name} ==", flush=True)
    begun_s = time.perf_counter()
    code = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}"], cwd=FOLDER.parent, check=False
    ).returncode
    print(
        f"-- {name}: {time.perf_counter() - begun_s:.0f} s{f', exit code {code}' if code else ''}\n",
        flush=True,
    )
    return code


def main() -> int:
    """Gives 1 when a benchmark failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", choices=present(), action="append", metavar="NAME", help="may be repeated")
    chosen = parser.parse_args().only or present()
    codes = [run(name) for name in chosen]
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main())
