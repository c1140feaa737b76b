"""Stopping in the midst of the workers' start: no process stays, nobody complains of leaked semaphores."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
DAEMON = """
import asyncio, os, signal, time
from tests.runtime import panels
from vcpd.runtime.settings import WorkerSettings
from vcpd.runtime.worker_pool import WorkerPool

def warm_up_at_length():
    open(os.environ["MARK"] + f"-{os.getpid()}", "w").close()
    time.sleep(60)

async def main():
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    pool = WorkerPool(WorkerSettings(count=2), panels.open_panel, (warm_up_at_length,))
    warming = asyncio.create_task(pool.start())
    await stopped.wait()
    await pool.close()
    await asyncio.gather(warming, return_exceptions=True)

if __name__ == "__main__":
    asyncio.run(main())
"""


@pytest.fixture
def daemon(tmp_path: Path) -> "subprocess.Popen[str]":
    script = tmp_path / "daemon.py"
    script.write_text(DAEMON, encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, str(script)],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "MARK": str(tmp_path / "mark")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_stop_while_workers_warm_up_is_clean(daemon: "subprocess.Popen[str]", tmp_path: Path) -> None:
    """It ends within seconds, with code 0 and not a word, though both workers are in their warm-up."""
    _wait_for_two_workers(tmp_path)
    family = psutil.Process(daemon.pid).children(recursive=True)
    daemon.send_signal(signal.SIGTERM)
    output, errors = daemon.communicate(timeout=20.0)
    assert (daemon.returncode, output, errors) == (0, "", "")
    assert psutil.wait_procs(family, timeout=5.0)[1] == []


def _wait_for_two_workers(tmp_path: Path) -> None:
    end_s = time.monotonic() + 30.0
    while len(list(tmp_path.glob("mark-*"))) < 2:
        assert time.monotonic() < end_s, "the workers never began to warm up"
        time.sleep(0.02)
