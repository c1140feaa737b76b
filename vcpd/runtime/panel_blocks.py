"""A panel as blocks of raw bytes named by their content, and the folder where a remote worker keeps them.

Machines share no file system: a worker lacks a panel until each block was sent to its machine once. The head
(symbols, sessions, index, tick sizes, exclusions) is a block too.
"""

import fcntl
import os
import pickle
import re
import shutil
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

import numpy as np

from vcpd.core.errors import BadInputError
from vcpd.domain.bars import BoolArray, FloatArray
from vcpd.domain.panel import Panel

BLOCK_ROWS: Final = 64
KEPT_PANELS: Final = 3
HASH_PATTERN: Final = re.compile(r"[0-9a-f]{64}")
VALUES: Final = "values.npy"
PROVISIONAL: Final = "provisional.npy"
HEAD: Final = "head"


@dataclass(frozen=True, slots=True)
class PanelManifest:
    """The blocks of a panel by hash: the head first, then those of the rows in order."""

    name: str
    hashes: tuple[str, ...]
    n_symbols: int
    n_sessions: int


def manifest_of(panel: Panel) -> PanelManifest:
    """Hash every block. Reads the whole panel: not for the event loop."""
    hashes = tuple(sha256(block_of(panel, number)).hexdigest() for number in range(1 + _row_blocks(panel)))
    name = sha256("".join(hashes).encode()).hexdigest()
    return PanelManifest(name, hashes, len(panel.symbols), len(panel.sessions))


def block_of(panel: Panel, number: int) -> bytes:
    """The bytes of a block: 0 is the head, then `BLOCK_ROWS` rows each, prices before marks."""
    if number == 0:
        head = (
            panel.symbols,
            np.asarray(panel.sessions).astype(np.int64).tolist(),
            np.asarray(panel.index_close).tolist(),
            np.asarray(panel.tick_size).tolist(),
            sorted(panel.exclusions.items()),
        )
        return pickle.dumps(head, protocol=5)
    rows = slice((number - 1) * BLOCK_ROWS, number * BLOCK_ROWS)
    return np.asarray(panel.values)[:, rows].tobytes() + np.asarray(panel.provisional)[rows].tobytes()


def _row_blocks(panel: Panel) -> int:
    return -(-len(panel.symbols) // BLOCK_ROWS)


class PanelCache:
    """The panels of one machine in a folder of the user's own, shared by its workers; the newest are kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._blocks = folder / "blocks"
        self._blocks.mkdir(mode=0o700, parents=True, exist_ok=True)

    @property
    def identity(self) -> str:
        """Equal for all workers that share this folder, and for no others."""
        status = self.folder.stat()
        return f"{socket.gethostname()}:{status.st_dev}:{status.st_ino}"

    def missing(self, manifest: PanelManifest) -> tuple[int, ...]:
        """The numbers of the blocks that were not sent yet."""
        if self._panel_folder(manifest).exists():
            return ()
        return tuple(
            number for number, digest in enumerate(manifest.hashes) if not (self._blocks / digest).exists()
        )

    def put(self, digest: str, body: bytes) -> None:
        """Keep a block. BadInputError where its content is not what its name says."""
        if not HASH_PATTERN.fullmatch(digest) or sha256(body).hexdigest() != digest:
            raise BadInputError(f"block {digest[:12]}: the bytes that arrived have another hash")
        unfinished = self._blocks / f".{digest}.{os.getpid()}"
        unfinished.write_bytes(body)
        unfinished.replace(self._blocks / digest)

    def open(self, manifest: PanelManifest) -> Panel | None:
        """Map the panel, made of its blocks where none of the workers did so yet; None while blocks miss."""
        folder = self._panel_folder(manifest)
        with self._locked():
            if not folder.exists():
                if self.missing(manifest):
                    return None
                self._assemble(manifest, folder)
                self._remove_old(folder)
            os.utime(folder)
            return _map_panel(folder)

    def _panel_folder(self, manifest: PanelManifest) -> Path:
        if not HASH_PATTERN.fullmatch(manifest.name):
            raise BadInputError("the name of a panel is no hash")
        return self.folder / f"panel-{manifest.name}"

    def _assemble(self, manifest: PanelManifest, folder: Path) -> None:
        """Write the panel's arrays from its blocks, which are deleted afterwards."""
        unfinished = self.folder / "unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        values, provisional = _new_arrays(unfinished, manifest)
        for number, digest in enumerate(manifest.hashes[1:]):
            _copy_rows((self._blocks / digest).read_bytes(), values, provisional, number * BLOCK_ROWS)
        (unfinished / HEAD).write_bytes((self._blocks / manifest.hashes[0]).read_bytes())
        values.flush()
        provisional.flush()
        unfinished.rename(folder)
        shutil.rmtree(self._blocks)
        self._blocks.mkdir(mode=0o700)

    def _remove_old(self, newest: Path) -> None:
        """A process that still maps a deleted panel keeps its pages until it lets go of them."""
        others = sorted(self.folder.glob("panel-*"), key=lambda path: path.stat().st_mtime_ns)
        for old in [path for path in others if path != newest][: 1 - KEPT_PANELS]:
            shutil.rmtree(old, ignore_errors=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self.folder / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _new_arrays(folder: Path, manifest: PanelManifest) -> tuple[np.memmap, np.memmap]:
    shape = (manifest.n_symbols, manifest.n_sessions)
    return (
        np.lib.format.open_memmap(folder / VALUES, "w+", np.float64, (5, *shape)),
        np.lib.format.open_memmap(folder / PROVISIONAL, "w+", np.bool_, shape),
    )


def _copy_rows(body: bytes, values: FloatArray, provisional: BoolArray, first: int) -> None:
    """Put the rows of one block from row `first` on."""
    n_rows = min(BLOCK_ROWS, provisional.shape[0] - first)
    n_prices = 5 * n_rows * provisional.shape[1]
    prices = np.frombuffer(body, np.float64, n_prices).reshape(5, n_rows, -1)
    values[:, first : first + n_rows] = prices
    marks = np.frombuffer(body, np.bool_, offset=prices.nbytes)
    provisional[first : first + n_rows] = marks.reshape(n_rows, -1)


def _map_panel(folder: Path) -> Panel:
    head = pickle.loads((folder / HEAD).read_bytes())  # noqa: S301 - its hash was checked
    symbols, sessions, index_close, tick_size, exclusions = head
    return Panel(
        symbols,
        np.array(sessions, np.int64).astype("M8[D]"),
        np.load(folder / VALUES, mmap_mode="r"),
        np.load(folder / PROVISIONAL, mmap_mode="r"),
        np.array(index_close, np.float64),
        np.array(tick_size, np.float64),
        dict(exclusions),
    )


def blocks_to_send(
    panel: Panel, manifest: PanelManifest, numbers: Sequence[int]
) -> Iterator[tuple[str, bytes]]:
    """Each missing block with its hash, one at a time, so that no more than one lies in memory."""
    for number in numbers:
        yield manifest.hashes[number], block_of(panel, number)
