"""Panels and panel tasks that real worker processes can import: healthy ones, and each kind of deadly one."""

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vcpd.domain.panel import Panel, PanelReference

N_SESSIONS = 10


class PickyError(Exception):
    """Cannot be unpickled: its constructor wants more than its text."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} {second}")


def save_panel(folder: Path, n_symbols: int, version: str = "1") -> PanelReference:
    """A mapped file whose close of row i is i in every session."""
    values = np.broadcast_to(np.arange(n_symbols, dtype=float)[None, :, None], (5, n_symbols, N_SESSIONS))
    path = folder / f"panel-{version}.npy"
    np.save(path, values)
    return PanelReference(str(path), version, n_symbols, N_SESSIONS)


def open_panel(reference: PanelReference) -> Panel:
    values = np.load(reference.path, mmap_mode="r")
    n_symbols, n_sessions = values.shape[1:]
    return Panel(
        symbols=tuple(f"NSE:S{row:03}" for row in range(n_symbols)),
        sessions=np.arange(n_sessions).astype("M8[D]"),
        values=values,
        provisional=np.zeros((n_symbols, n_sessions), np.bool_),
        index_close=np.zeros(n_sessions),
        tick_size=np.full(n_symbols, 0.05),
    )


def closes(panel: Panel, rows: range, factor: float) -> list[float]:
    return [float(panel.close[row, -1]) * factor for row in rows]


def exit_at(panel: Panel, rows: range, deadly: Sequence[int]) -> list[int]:
    if any(row in rows for row in deadly):
        os._exit(3)
    return list(rows)


def segfault_at(panel: Panel, rows: range, deadly: Sequence[int]) -> list[int]:
    if any(row in rows for row in deadly):
        os.kill(os.getpid(), signal.SIGSEGV)
    return list(rows)


def loop_at(panel: Panel, rows: range, deadly: Sequence[int]) -> list[int]:
    while any(row in rows for row in deadly):
        pass
    return list(rows)


def eat_memory_at(panel: Panel, rows: range, deadly: Sequence[int]) -> list[int]:
    eaten = []
    while any(row in rows for row in deadly):
        eaten.append(np.ones(4_000_000))
    return list(rows)


def raise_at(panel: Panel, rows: range, deadly: Sequence[int]) -> list[int]:
    if any(row in rows for row in deadly):
        raise ZeroDivisionError("this row has no bars")
    return list(rows)


def die_once(panel: Panel, rows: range, marker: str) -> list[int]:
    """Kills its worker the first time that anybody computes row 5."""
    if 5 in rows and not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return list(rows)


def slow(panel: Panel, rows: range, seconds: float) -> list[int]:
    time.sleep(seconds)
    return list(rows)


def mapped_files(panel: Panel | None = None, rows: range | None = None, _: object = None) -> list[str]:
    """The panel files that this very process has mapped."""
    maps = Path("/proc/self/maps").read_text(encoding="utf-8")
    return sorted({line.split()[-1] for line in maps.splitlines() if "panel-" in line})


def raise_picky() -> None:
    raise PickyError("not", "portable")


def fail_to_warm_up() -> None:
    raise RuntimeError("no kernel")


def burn(seconds: float) -> int:
    stop = time.perf_counter() + seconds
    turns = 0
    while time.perf_counter() < stop:
        turns += 1
    return turns


def hold_memory(megabytes: int) -> int:
    globals()["held"] = np.ones(megabytes << 17)
    return megabytes


def environment(name: str) -> str | None:
    return os.environ.get(name)


def sleep_and_get_pid(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def blocked_signals() -> set[int]:
    return {int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, set())}


def large_answer(megabytes: int) -> bytes:
    return bytes(megabytes << 20)


def total(panel: Panel, rows: range, _: object) -> float:
    return float(panel.values[:, rows.start : rows.stop].sum())


KEPT: list[bytes] = []


def keep_much() -> None:
    """A warm-up after which the worker weighs more than the lowest mark."""
    KEPT.append(bytes(range(256)) * (100 << 12))


def wait_for_file(panel: Panel, rows: range, files: tuple[str, str]) -> list[int]:
    """Say by the first file that a task runs, and wait until the second is there."""
    started, go = (Path(name) for name in files)
    started.touch()
    while not go.exists():
        time.sleep(0.05)
    return list(rows)
