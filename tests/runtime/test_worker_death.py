"""kill -9 of a real daemon leaves no worker, not even one that loops in C without giving the GIL back."""

import multiprocessing
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from vcpd.runtime import executor

DAEMON = """
import asyncio, sys
from tests.runtime import panels
from vcpd.runtime.settings import WorkerSettings
from vcpd.runtime.worker_pool import WorkerPool

async def main():
    pool = WorkerPool(WorkerSettings(count=2, start_method=sys.argv[1]), panels.open_panel)
    await pool.start()
    stuck = asyncio.create_task(pool.call(pow, 7, 10 ** 9))
    while not pool.snapshot().running:
        await asyncio.sleep(0.01)
    print("running", flush=True)
    await stuck

if __name__ == "__main__":
    asyncio.run(main())
"""
ROOT = Path(__file__).resolve().parents[2]


def start_daemon(tmp_path: Path, start_method: str) -> "subprocess.Popen[str]":
    script = tmp_path / "daemon.py"
    script.write_text(DAEMON, encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, str(script), start_method],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def deaf_to_interrupts(pid: int) -> bool:
    """Whether the kernel holds SIGINT back from this process or drops it."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    masks = dict(line.split(":\t", 1) for line in lines if line.startswith(("SigBlk", "SigIgn")))
    return any(int(mask, 16) >> (signal.SIGINT - 1) & 1 for mask in masks.values())


@pytest.mark.parametrize("start_method", ["forkserver", "spawn"])
def test_no_worker_outlives_a_killed_daemon(tmp_path: Path, start_method: str) -> None:
    with start_daemon(tmp_path, start_method) as daemon:
        assert daemon.stdout is not None
        assert daemon.stdout.readline() == "running\n"
        family = psutil.Process(daemon.pid).children(recursive=True)
        assert len(family) >= 3
        daemon.send_signal(signal.SIGKILL)
        _, alive = psutil.wait_procs(family, timeout=20)
        assert alive == []


def test_an_interrupt_of_the_group_leaves_workers_alone(tmp_path: Path) -> None:
    """Ctrl-C reaches every process of the terminal's group: only the daemon may act on it."""
    with start_daemon(tmp_path, "forkserver") as daemon:
        assert daemon.stdout is not None
        assert daemon.stdout.readline() == "running\n"
        family = psutil.Process(daemon.pid).children(recursive=True)
        assert all(deaf_to_interrupts(process.pid) for process in family)
        daemon.kill()
        psutil.wait_procs(family, timeout=20)


def test_a_second_cleaning_of_one_process_leaves_what_it_uses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon that opens its store anew cleans again; what it finds then is its own."""
    process = multiprocessing.current_process()
    monkeypatch.setattr(process, "_config", {"semprefix": "/mp"})
    monkeypatch.setattr(executor, "SEMAPHORE_FOLDER", tmp_path / "shm")
    (tmp_path / "shm").mkdir()
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp" / "left").touch()
    executor.remove_leftovers(tmp_path)
    prefix = process._config["semprefix"]  # type: ignore[attr-defined]
    assert list((tmp_path / "tmp").iterdir()) == []
    used = [tmp_path / "tmp" / "listener", tmp_path / "shm" / f"sem.{prefix[1:]}-1"]
    for file in used:
        file.touch()
    executor.remove_leftovers(tmp_path)
    assert all(file.exists() for file in used)
    monkeypatch.setattr(process, "_config", {"semprefix": "/mp"})
    executor.remove_leftovers(tmp_path)  # as another process does
    assert not any(file.exists() for file in used)
