"""The daemon stays light: what it imports, how many threads that starts, what its collector looks at."""

import gc
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.runtime.panels import open_panel, save_panel
from vcpd.domain.panel import Panel
from vcpd.runtime.process_tuning import DAEMON_THREAD_ENV, freeze_gc, limit_native_threads, trim_heap
from vcpd.runtime.worker_process import OpenedPanel
from vcpd.store.panel_files import PanelFiles
from vcpd.store.panel_files import open_panel as stored_panel

HEAVY = ("polars", "pandas", "scipy")
IMPORT_THE_DAEMON = f"""
import json, os, sys
from vcpd.runtime.process_tuning import limit_native_threads
limit_native_threads()
import vcpd.cli.run
heavy = [name for name in {HEAVY!r} if name in sys.modules]
print(json.dumps(dict(heavy=heavy, threads=len(os.listdir("/proc/self/task")))))
"""


def test_the_daemon_holds_no_compiler_and_starts_no_thread_by_importing() -> None:
    """Kernels, compiler and data frames live in the workers alone; BLAS brings no thread a core."""
    reported = subprocess.run(
        [sys.executable, "-c", IMPORT_THE_DAEMON], check=True, capture_output=True, text=True
    ).stdout
    assert json.loads(reported) == {"heavy": [], "threads": 1}


WARM_UP_A_WORKER = """
import sys
from vcpd.analysis.tasks import warm_up
warm_up()
print(*(name for name in ("scipy.linalg", "polars", "aiohttp", "asyncpg", "rich") if name in sys.modules))
import scipy.linalg
"""


def test_a_warm_worker_holds_nothing_that_its_kernels_do_not_need() -> None:
    """Not even what the compiler would take along where it is installed, which stays importable."""
    pytest.importorskip("scipy")
    reported = subprocess.run(
        [sys.executable, "-c", WARM_UP_A_WORKER], check=True, capture_output=True, text=True
    ).stdout
    assert reported.split() == []


def test_what_the_user_set_in_the_environment_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in DAEMON_THREAD_ENV:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    limit_native_threads()
    assert {name: os.environ[name] for name in DAEMON_THREAD_ENV} == {
        **DAEMON_THREAD_ENV,
        "OMP_NUM_THREADS": "8",
    }


def test_the_collector_leaves_alone_what_was_there() -> None:
    """A full turn of the collector no longer looks at the objects that were kept."""
    kept = [[number] for number in range(1000)]
    try:
        freeze_gc()
        assert not any(entry is kept for entry in gc.get_objects())
        assert gc.get_freeze_count() > 1000
    finally:
        gc.unfreeze()


def test_freed_memory_goes_back_to_the_machine() -> None:
    """Many small blocks, kept by the C library when freed, are no longer resident afterwards."""
    process = psutil.Process()
    blocks = [np.ones(1_000) for _ in range(12_000)]  # 8 kB each: below what is mapped by itself
    fence = np.ones(1_000)
    full_bytes = process.memory_info().rss
    del blocks
    trim_heap()
    assert full_bytes - process.memory_info().rss > 60 * 1024 * 1024
    assert fence[0] == 1


def resident_kb_of(path: str) -> int:
    """How much of a mapped file counts as resident in this process."""
    sizes, inside = 0, False
    for line in Path("/proc/self/smaps").read_text(encoding="ascii").splitlines():
        if "-" in line.split()[0]:
            inside = line.endswith(path)
        elif inside and line.startswith("Rss:"):
            sizes += int(line.split()[1])
    return sizes


def test_a_worker_lets_go_of_the_pages_of_a_stored_snapshot(tmp_path: Path) -> None:
    """Its planes are views of the mapped files, without their spare columns."""
    values = np.ones((5, 100, 500))
    shown = Panel(
        tuple(f"NSE:{number:03}" for number in range(100)),
        np.datetime64("2024-01-01", "D") + np.arange(500),
        values,
        np.zeros((100, 500), np.bool_),
        np.ones(500),
        np.full(100, 0.05),
    )
    reference = PanelFiles(tmp_path).write(shown)
    opened = OpenedPanel(stored_panel, rest_after_s=60.0)
    assert opened.get(reference).values.sum() == values.size
    path = str(Path(reference.path) / "bars_by_symbol.npy")
    assert resident_kb_of(path) > 1_500
    opened.drop_pages()
    assert resident_kb_of(path) == 0


def test_a_worker_lets_go_of_the_pages_it_has_read_and_reads_them_again(tmp_path: Path) -> None:
    """After a task nothing of the panel is resident; the panel itself stays mapped and readable."""
    reference = save_panel(tmp_path, 5_000)
    opened = OpenedPanel(open_panel, rest_after_s=60.0)
    total = opened.get(reference).values.sum()
    assert resident_kb_of(reference.path) > 1_500
    opened.drop_pages()
    assert resident_kb_of(reference.path) == 0
    assert opened.get(reference).values.sum() == total
