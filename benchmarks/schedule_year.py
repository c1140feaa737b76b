"""How long a simulated year of the default day takes: `python benchmarks/schedule_year.py [DAYS]`."""

import sys
import time
from collections import Counter
from pathlib import Path

import structlog

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.schedule.test_year import judge, simulate  # noqa: E402 - the path must be set first


def main() -> None:
    days = int(sys.argv[1]) if len(sys.argv) > 1 else 365
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    start = time.perf_counter()
    history = simulate("2025-10-01T07:00", days, seed=11, mean_pause_h=40.0)
    took_s = time.perf_counter() - start
    judge(history)
    outcomes = Counter(str(run.outcome) for run in history.table.rows.values())
    runs = len(history.table.rows)
    print(f"{days} days, {runs} runs {dict(outcomes)}, {len(history.blind)} disturbances: {took_s:.1f} s")


if __name__ == "__main__":
    main()
