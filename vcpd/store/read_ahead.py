"""Reads a parquet file in a thread while the program still imports what evaluates its bars.

Imports need the interpreter's lock, reading and decompressing do not: with a second core a command on a
large file answers earlier by the time that reading takes. This module imports no other of the package.
"""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import polars as pl

_begun: Final[dict[Path, Future[pl.DataFrame]]] = {}


@contextmanager
def read_ahead(path: Path) -> Iterator[None]:
    """Begins to read a parquet file; the first `parquet_frame` of it within the block takes the frame.

    Whatever was not taken is forgotten at the block's end, which waits for the thread.
    """
    with ThreadPoolExecutor(1, "read-ahead") as thread:
        _begun[path] = thread.submit(pl.read_parquet, path)
        try:
            yield
        finally:
            _begun.pop(path, None)


def parquet_frame(path: Path) -> pl.DataFrame:
    """The frame of a parquet file as it stands; raises as `polars.read_parquet` does."""
    begun = _begun.pop(path, None)
    return pl.read_parquet(path) if begun is None else begun.result()
