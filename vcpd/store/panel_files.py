"""Snapshots on disk: one folder a version, written whole, then renamed into place.

A version's folder holds `values.npy` (5, n, m), `provisional.npy` (n, m), `index_close.npy` (m,) and
`panel.json` with the rest. Versions are numbered in the order in which they were written.
"""

import os
import shutil
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from vcpd.domain.errors import RetryableError, UnavailableError
from vcpd.domain.panel import Panel, PanelReference

KEPT: Final = 2
PREFIX: Final = "panel-"
UNFINISHED: Final = "unfinished-"


class PanelHead(msgspec.Struct, frozen=True):
    """What is small enough for JSON."""

    symbols: tuple[str, ...]
    sessions: tuple[date, ...]
    tick_size: tuple[float, ...]
    exclusions: Mapping[str, str]


def open_panel(reference: PanelReference) -> Panel:
    """Map a snapshot: nothing is read until it is touched, and all processes share the pages.

    Raises RetryableError when the snapshot is gone because newer ones took its place.
    """
    folder = Path(reference.path)
    try:
        head = _head(folder)
        values = np.load(folder / "values.npy", mmap_mode="r")
        provisional = np.load(folder / "provisional.npy", mmap_mode="r")
        index_close = np.load(folder / "index_close.npy")
    except FileNotFoundError:
        raise RetryableError(f"the panel {reference.version} is gone: newer ones took its place") from None
    return Panel(
        head.symbols,
        np.array(head.sessions, "M8[D]"),
        values,
        provisional,
        index_close,
        np.array(head.tick_size, np.float64),
        head.exclusions,
    )


def _head(folder: Path) -> PanelHead:
    return msgspec.json.decode((folder / "panel.json").read_bytes(), type=PanelHead)


class PanelFiles:
    """The snapshots in one folder; only the newest two are kept, so that readers of the last can finish."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def current(self) -> PanelReference | None:
        """The newest snapshot, or None."""
        versions = self._versions()
        if not versions:
            return None
        newest = versions[-1]
        head = _head(newest)
        return PanelReference(str(newest), newest.name, len(head.symbols), len(head.sessions))

    def write(self, panel: Panel) -> PanelReference:
        """Add a snapshot and delete what is too old. Raises UnavailableError where the disk is the reason."""
        try:
            reference = self._write(panel)
            self._clean()
        except OSError as error:
            raise UnavailableError(
                f"cannot write the panel to {self.folder} ({error.strerror}): free space or make it writable"
            ) from None
        return reference

    def _write(self, panel: Panel) -> PanelReference:
        name = f"{PREFIX}{self._next_number():08d}"
        unfinished = self.folder / f"{UNFINISHED}{os.getpid()}"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        np.save(unfinished / "values.npy", panel.values)
        np.save(unfinished / "provisional.npy", panel.provisional)
        np.save(unfinished / "index_close.npy", panel.index_close)
        head = PanelHead(
            panel.symbols,
            tuple(panel.sessions.tolist()),
            tuple(panel.tick_size.tolist()),
            dict(panel.exclusions),
        )
        (unfinished / "panel.json").write_bytes(msgspec.json.encode(head))
        final = unfinished.rename(self.folder / name)
        return PanelReference(str(final), name, len(panel.symbols), len(panel.sessions))

    def _next_number(self) -> int:
        versions = self._versions()
        return int(versions[-1].name.removeprefix(PREFIX)) + 1 if versions else 1

    def _versions(self) -> list[Path]:
        return sorted(self.folder.glob(f"{PREFIX}*"))

    def _clean(self) -> None:
        """Delete old versions, and what killed writers left unfinished."""
        for folder in self._versions()[:-KEPT]:
            shutil.rmtree(folder, ignore_errors=True)
        for folder in self.folder.glob(f"{UNFINISHED}*"):
            shutil.rmtree(folder, ignore_errors=True)
