"""The detector of this checkout beside another one's: `python -m benchmarks.detector_pairs OTHER`.

One process of each screens the same panel again and again, in turns, so that a busy machine slows both.
Rows: the structure kernel, which searches chains of contractions; the rest of the screen; the whole. Of
each the median of the rounds in milliseconds of processor time a symbol, and the median of the rounds'
ratios with its 95 % interval. What a version evaluates is its own: later ones evaluate more.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, Final

import numpy as np

from benchmarks.compare_checkouts import HERE, interval
from benchmarks.detector_speed import panel_of

ROWS: Final = ("structure kernel", "rest", "whole")
# Runs over either checkout: names of the version before 0.2 are tried where the present ones are not there.
CHILD: Final = """
import json, sys, time
import numpy as np
try:
    from vcpd.analysis import session_context as window
    from vcpd.analysis.screen import ScreenParams as Parameters, screen_rows as evaluate
    from vcpd.analysis.tasks import warm_up
    kernel = window.find_chains
except ImportError:
    from vcpd.analysis import past as window
    from vcpd.analysis.setups import Judging as Parameters, judge as evaluate, warm_up
    kernel = window.search
from vcpd.domain.panel import Panel
spent = 0.0
def timed(*given):
    global spent
    begin = time.process_time()
    found = kernel(*given)
    spent += time.process_time() - begin
    return found
if hasattr(window, "find_chains"):
    window._build_window.__defaults__ = (timed,)
else:
    window.search = timed
kept = np.load(sys.argv[1], allow_pickle=False)
names = ("sessions", "values", "provisional", "index_close", "tick_size")
panel = Panel(tuple(kept["symbols"].tolist()), *(kept[name] for name in names))
warm_up()
for line in sys.stdin:
    spent, begin = 0.0, time.process_time()
    evaluate(panel, range(len(panel.symbols)), Parameters())
    whole = time.process_time() - begin
    print(json.dumps([spent, whole - spent, whole]), flush=True)
"""


class Detector:
    """A process over a checkout that screens the panel of a file once for each question."""

    def __init__(self, checkout: Path, panel: Path, caches: Path) -> None:
        environment = {**os.environ, "PYTHONPATH": str(checkout), "NUMBA_CACHE_DIR": str(caches)}
        self._process = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(panel)],
            cwd=checkout,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def screen(self) -> list[float]:
        """Processor seconds of a screen by `ROWS`. RuntimeError where the process has ended."""
        given, answers = self._streams()
        given.write("\n")
        given.flush()
        line = answers.readline()
        if not line:
            raise RuntimeError("the detector's process has ended: see above")
        times: list[float] = json.loads(line)
        return times

    def close(self) -> None:
        self._streams()[0].close()
        self._process.wait()

    def _streams(self) -> tuple[IO[str], IO[str]]:
        given, answers = self._process.stdin, self._process.stdout
        assert given is not None
        assert answers is not None
        return given, answers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("other", type=Path, help="a checkout of the commit to compare with, built")
    parser.add_argument("--bars", type=Path, help="default: random walks")
    parser.add_argument("--symbols", type=int, default=2500)
    parser.add_argument("--sessions", type=int, default=1250)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        file = Path(name, "panel.npz")
        panel = panel_of(given.bars, given.symbols, given.sessions)
        fields = ("sessions", "values", "provisional", "index_close", "tick_size")
        np.savez(file, symbols=np.array(panel.symbols), **{field: getattr(panel, field) for field in fields})
        ours, theirs = (Detector(checkout, file, Path(name)) for checkout in (HERE, given.other.resolve()))
        for detector in (ours, theirs):
            detector.screen()
        pairs = [(ours.screen(), theirs.screen()) for _ in range(given.rounds)]
        ours.close()
        theirs.close()
    report(np.array(pairs), given.symbols)


def report(pairs: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]", symbols: int) -> None:
    """`pairs` (rounds, 2, 3): processor seconds of this and of the other checkout by `ROWS`."""
    for at, row in enumerate(ROWS):
        own, other = 1000 * np.median(pairs[:, :, at], axis=0) / symbols
        ratio, low, high = interval((pairs[:, 0, at] / pairs[:, 1, at]).tolist())
        print(f"{row:18} {own:.3f} against {other:.3f} ms a symbol: {ratio:.2f} [{low:.2f}, {high:.2f}]")


if __name__ == "__main__":
    main()
