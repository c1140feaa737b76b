"""Tables in files: which files a path means, reading one as it stands, writing one whole or not at all."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import polars as pl

from vcpd.domain.errors import BadInputError, UnavailableError


def _read_csv(path: Path) -> pl.DataFrame:
    return pl.read_csv(path, infer_schema=False)


READERS: Final[Mapping[str, Callable[[Path], pl.DataFrame]]] = {
    ".parquet": pl.read_parquet,
    ".csv": _read_csv,
    ".csv.gz": _read_csv,
}


def table_files(path: Path) -> list[Path]:
    """The file itself, or a folder's table files by name. BadInputError where there is none."""
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if _kind(file) is not None)
        if not files:
            raise BadInputError(f"{path}: the folder holds no parquet or CSV file")
        return files
    if not path.exists():
        raise BadInputError(f"{path}: no such file")
    if _kind(path) is None:
        raise BadInputError(f"{path}: expected a name that ends in .parquet, .csv or .csv.gz")
    return [path]


def read_frame(path: Path) -> pl.DataFrame:
    """The table as it stands, a CSV's values as text. BadInputError when it cannot be read or is empty."""
    reader = READERS[_kind(path) or ".csv"]
    try:
        frame = reader(path)
    except pl.exceptions.NoDataError:
        raise BadInputError(f"{path}: the file is empty") from None
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"{path}: cannot be read as a table: {_first_line(error)}") from None
    if not len(frame):
        raise BadInputError(f"{path}: the file holds no rows")
    return frame


def write_frame(path: Path, frame: pl.DataFrame) -> None:
    """Write beside and rename, so that no reader meets half a file."""
    kind = path.suffix.lower()
    if kind not in {".parquet", ".csv"}:
        raise BadInputError(f"{path}: expected a name that ends in .parquet or .csv")
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        if kind == ".parquet":
            frame.write_parquet(beside, compression="zstd")
        else:
            frame.write_csv(beside)
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise UnavailableError(f"{path}: cannot be written: {_first_line(error)}") from None


def _kind(path: Path) -> str | None:
    name = path.name.lower()
    if name.startswith("."):
        return None
    return next((suffix for suffix in READERS if name.endswith(suffix)), None)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
