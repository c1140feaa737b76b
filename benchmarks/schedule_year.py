"""How long a simulated year of the default day takes: `python benchmarks/schedule_year.py [DAYS]`."""

import sys
import time
from collections import Counter
from pathlib import Path

import structlog

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.schedule.test_year import judge, simulate


def main() -> None:
    days = int(sys.argv[1]) if len(sys.argv) > 1 else 365
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    start = time.perf_counter()
    history = simulate("2025-10-01T07:00", days, seed=11, mean_pause_h=40.0)
    took_s, cpu_s = time.perf_counter() - start, time.process_time()
    judge(history)
    outcomes = Counter(str(run.outcome) for run in history.table.rows.values())
    print(f"{days} days in {took_s:.1f} s ({cpu_s:.1f} s of CPU), {len(history.blind)} disturbances")
    print(f"{len(history.table.rows)} runs: {dict(outcomes)}")


if __name__ == "__main__":
    main()
