"""Panel snapshots on disk: one folder for each version, written whole, then renamed into place.

A version's folder holds `values.npy` (5, n, m), `provisional.npy` (n, m), `index_close.npy` (m,) and
`panel.json` with the rest. Versions are numbered in the order in which they were written.
"""

from collections.abc import Callable, Mapping
from datetime import date
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from vcpd.core.atomic_file import publish_folder, versions_of
from vcpd.core.errors import RetryableError, UnavailableError
from vcpd.domain.bars import FloatArray
from vcpd.domain.panel import Panel, PanelReference

KEPT_VERSIONS: Final = 2
VERSION_PREFIX: Final = "panel-"
VALUES: Final = "values.npy"
PROVISIONAL: Final = "provisional.npy"
INDEX_CLOSE: Final = "index_close.npy"
METADATA: Final = "panel.json"
WriteArrays = Callable[[Path], None]  # makes VALUES and PROVISIONAL in a folder


class PanelMetadata(msgspec.Struct, frozen=True):
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
        head = _read_metadata(folder)
        values = np.load(folder / VALUES, mmap_mode="r")
        provisional = np.load(folder / PROVISIONAL, mmap_mode="r")
        index_close = np.load(folder / INDEX_CLOSE)
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


def _read_reference(folder: Path) -> PanelReference | None:
    """The snapshot in a folder, if all of its files are whole."""
    try:
        panel = open_panel(PanelReference(str(folder), folder.name, 0, 0))
    except (ValueError, EOFError, RetryableError):
        return None
    return PanelReference(str(folder), folder.name, len(panel.symbols), len(panel.sessions))


def _read_metadata(folder: Path) -> PanelMetadata:
    return msgspec.json.decode((folder / METADATA).read_bytes(), type=PanelMetadata)


def _save_arrays(panel: Panel, folder: Path) -> None:
    np.save(folder / VALUES, panel.values)
    np.save(folder / PROVISIONAL, panel.provisional)


class PanelFiles:
    """The snapshots in one folder; only the newest two are kept, so that readers of the last can finish."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def current(self) -> PanelReference | None:
        """The newest snapshot; None where there is none, or a power cut left it without its contents."""
        versions = versions_of(self.folder, VERSION_PREFIX)
        return _read_reference(versions[-1]) if versions else None

    def write(self, panel: Panel) -> PanelReference:
        """Add a panel that lies in memory as a snapshot. Errors as `add`."""
        head = PanelMetadata(
            panel.symbols,
            tuple(panel.sessions.tolist()),
            tuple(panel.tick_size.tolist()),
            dict(panel.exclusions),
        )
        return self.add(head, panel.index_close, partial(_save_arrays, panel))

    def add(self, head: PanelMetadata, index_close: FloatArray, write_planes: WriteArrays) -> PanelReference:
        """Add a snapshot, its planes written by `write_planes`, and delete what is too old.

        Raises UnavailableError where the disk is the reason.
        """
        try:
            with publish_folder(self.folder, VERSION_PREFIX, KEPT_VERSIONS) as (unfinished, final):
                write_planes(unfinished)
                np.save(unfinished / INDEX_CLOSE, index_close)
                (unfinished / METADATA).write_bytes(msgspec.json.encode(head))
        except OSError as error:
            raise UnavailableError(
                f"cannot write the panel to {self.folder} ({error.strerror}): free space or make it writable"
            ) from None
        return PanelReference(str(final), final.name, len(head.symbols), len(head.sessions))
