"""What every test shares: kernels are compiled once for the whole suite, also for the processes it starts."""

import os
from pathlib import Path

os.environ.setdefault(
    "NUMBA_CACHE_DIR", str(Path(__file__).resolve().parents[1] / ".pytest_cache" / "kernels")
)
