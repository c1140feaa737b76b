"""What the process and the machine use."""

import asyncio
import errno
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from vcpd.runtime.resources import PressureStall, ResourceMonitor, read_pressure


def test_the_daemon_and_its_children_are_seen() -> None:
    """Sizes, threads and descriptors of this process; a child appears while it lives and is gone after.

    Other tests' servers may be children of this process meanwhile.
    """
    system = ResourceMonitor()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        shown = asyncio.run(system.snapshot())
        assert shown is not None
        assert child.pid in {child.pid for child in shown.children}
        assert child.stdin is not None
        child.stdin.close()
    after = asyncio.run(system.snapshot())
    assert after is not None
    assert child.pid not in {child.pid for child in after.children}
    assert after.daemon.resident_mb > 10
    assert after.daemon.threads >= 1
    assert after.open_files >= 3
    assert 0 < after.machine_memory_pct < 100
    assert after.daemon.proportional_mb is None or after.daemon.proportional_mb <= after.daemon.resident_mb


def test_pressure_is_read_from_the_kernels_words(tmp_path: Path) -> None:
    line = "some avg10=12.50 avg60=1.00 avg300=0.10 total=5\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
    (tmp_path / "cpu").write_text(line, encoding="ascii")
    (tmp_path / "memory").write_text("full avg10=1.00\n", encoding="ascii")
    assert read_pressure(tmp_path) == PressureStall(cpu_pct=12.5, memory_pct=None, io_pct=None)


def test_no_pressure_files_is_not_an_error(tmp_path: Path) -> None:
    assert read_pressure(tmp_path / "absent") == PressureStall()


@pytest.mark.parametrize(
    "error", [OSError(errno.EMFILE, "Too many open files"), psutil.AccessDenied(1), psutil.NoSuchProcess(1)]
)
@pytest.mark.parametrize("call", ["children", "num_fds", "oneshot"])
def test_a_machine_that_cannot_be_read_is_not_measured(
    error: Exception, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    system = ResourceMonitor()
    monkeypatch.setattr(psutil.Process, call, fail)
    assert asyncio.run(system.snapshot()) is None
    monkeypatch.undo()
    assert asyncio.run(system.snapshot()) is not None


def test_a_missing_proc_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> None:
        raise FileNotFoundError("/proc/stat")

    monkeypatch.setattr(psutil, "cpu_percent", missing)
    assert asyncio.run(ResourceMonitor().snapshot()) is None
