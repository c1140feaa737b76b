"""Whole commands of this checkout against another one's: `python -m benchmarks.compare_checkouts OTHER`.

Each pair runs both checkouts one right after the other, in alternating order, so that a busy machine slows
both. For each command: the median of the pairs' time ratios (this / other) with its 95 % interval from
20,000 bootstrap samples, and the same of CPU seconds. Real bars come from the folder VCPD_DATA.

`import` reads a file into an empty database, `import-again` the same file into the same database. Of
`cold-start` and `evening`, which are each checkout's own benchmarks, the wall time is the figure that they
print, the CPU time that of their whole run, with the collection that comes before.
"""

import argparse
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

HERE: Final = Path(__file__).resolve().parents[1]
DATA: Final = Path(os.environ.get("VCPD_DATA", HERE.parent / "shared" / "data"))
BARS: Final = str(DATA / "nse_all_half.parquet")
INDEX: Final = str(DATA / "nse_indices.parquet")
JUDGED: Final = ("--bars", BARS, "--index", INDEX)
COMMANDS: Final = {
    "modules": ("-c", "import vcpd.cli.main, vcpd.app.daemon"),
    "help": ("-m", "vcpd", "--help"),
    "screen": ("-m", "vcpd", "screen", *JUDGED, "--as-of", "2025-06-30", "--json"),
    "explain": ("-m", "vcpd", "explain", "SWSOLAR", *JUDGED, "--as-of", "2025-06-30"),
    "history": ("-m", "vcpd", "history", *JUDGED, "--from", "2023-01-01", "--to", "2025-06-30"),
    "risk": ("-m", "vcpd", "risk", *JUDGED, "--as-of", "2025-06-30", "--json"),
    "import": ("-m", "vcpd", "import", "--config", "config.toml", BARS),
    "import-again": ("-m", "vcpd", "import", "--config", "config.toml", BARS),
    "cold-start": ("-m", "benchmarks.cold_start", "--symbols", "40", "--starts", "3"),
    "evening": ("-m", "benchmarks.evening", "--instruments", "500", "--years", "1"),
}
FIGURES: Final = {
    "cold-start": re.compile(r"median ([\d.]+) s"),
    "evening": re.compile(r"whole run ([\d.]+) s"),
}
BOOTSTRAP_SAMPLES: Final = 20_000
BOUND: Final = 1.05


@dataclass(frozen=True, slots=True)
class Timing:
    """Wall and CPU seconds of one whole process with its children."""

    wall_s: float
    cpu_s: float


def run(checkout: Path, name: str, caches: Path) -> Timing:
    """Run a command over `checkout`, which is built already. CalledProcessError where it fails.

    A version that compiles as it runs has a cache of its own. Python keeps the modules that it compiled,
    as it does wherever vcpd is installed, also where the environment of this process forbids it.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= {
        "PYTHONPATH": str(checkout),
        "PYTHONPYCACHEPREFIX": str(caches / f"{checkout.name}-modules"),
        "NUMBA_CACHE_DIR": str(caches / checkout.name),
    }
    folder = _prepare_folder(caches / f"{checkout.name}-files", empty=name == "import")
    before, began_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, *COMMANDS[name]],
        cwd=folder,
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    wall_s = time.perf_counter() - began_s
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    printed = FIGURES[name].search(done.stdout) if name in FIGURES else None
    return Timing(wall_s if printed is None else float(printed[1]), cpu_s)


def _prepare_folder(folder: Path, *, empty: bool) -> Path:
    """The folder in which a checkout's commands run, with a database of its own."""
    if empty:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(exist_ok=True)
    (folder / "config.toml").write_text('[daemon]\nstate_dir = "state"\n', encoding="utf-8")
    return folder


def compare(other: Path, name: str, pairs: int, caches: Path) -> list[tuple[Timing, Timing]]:
    """(this, other) of each pair, after one run of each that fills the caches."""
    for checkout in (HERE, other):
        run(checkout, name, caches)
    timings = []
    for number in range(pairs):
        order = (HERE, other) if number % 2 == 0 else (other, HERE)
        found = {checkout: run(checkout, name, caches) for checkout in order}
        timings.append((found[HERE], found[other]))
    return timings


def interval(ratios: "list[float]") -> tuple[float, float, float]:
    """Median, and the 95 % interval of the median by bootstrap."""
    values = np.array(ratios)
    drawn = np.random.default_rng(1).choice(values, (BOOTSTRAP_SAMPLES, len(values)))
    low, high = np.quantile(np.median(drawn, axis=1), [0.025, 0.975])
    return float(np.median(values)), float(low), float(high)


def report(name: str, timings: "list[tuple[Timing, Timing]]") -> None:
    for kind in ("wall_s", "cpu_s"):
        ratio, low, high = interval([getattr(a, kind) / getattr(b, kind) for a, b in timings])
        ours = [getattr(a, kind) for a, _ in timings]
        theirs = [getattr(b, kind) for _, b in timings]
        verdict = "slower" if low > BOUND else "no slower"
        print(
            f"{name:12} {kind:6} median {np.median(ours):.2f} (best {min(ours):.2f}) against "
            f"{np.median(theirs):.2f} ({min(theirs):.2f}): "
            f"{ratio:.3f} [{low:.3f}, {high:.3f}]  {verdict}; load {os.getloadavg()[0]:.1f}",
            flush=True,
        )


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("other", type=Path, help="a checkout of the commit to compare with")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--only", choices=list(COMMANDS), action="append")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="vcpd-bench-") as caches:
        for name in given.only or COMMANDS:
            report(name, compare(given.other.resolve(), name, given.pairs, Path(caches)))


if __name__ == "__main__":
    main()
