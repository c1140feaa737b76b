"""A file whose reading began early gives the same frame and the same errors, once."""

import threading
from pathlib import Path

import polars as pl
import pytest

from vcpd.core.errors import BadInputError
from vcpd.store.read_ahead import parquet_frame, read_ahead
from vcpd.store.table_files import read_table

FRAME = pl.DataFrame({"symbol": ["A", "B"], "close": [1.5, 2.5]})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "bars.parquet"
    FRAME.write_parquet(path)
    return path


@pytest.fixture
def readers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The name of the thread of each reading, in their order."""
    names: list[str] = []
    read_parquet = pl.read_parquet

    def read(path: Path) -> pl.DataFrame:
        names.append(threading.current_thread().name)
        return read_parquet(path)

    monkeypatch.setattr(pl, "read_parquet", read)
    return names


def test_the_first_reader_takes_what_a_thread_has_read(file: Path, readers: list[str]) -> None:
    with read_ahead(file):
        assert parquet_frame(file).equals(FRAME)
        assert readers == ["read-ahead_0"]
        assert parquet_frame(file).equals(FRAME)
    assert readers[1:] == [threading.current_thread().name]


def test_another_file_is_read_where_it_is_asked_for(file: Path, readers: list[str]) -> None:
    other = file.with_name("index.parquet")
    FRAME[:1].write_parquet(other)
    with read_ahead(file):
        assert parquet_frame(other).equals(FRAME[:1])
    assert sorted(readers) == sorted([threading.current_thread().name, "read-ahead_0"])


def test_what_nobody_took_is_forgotten(file: Path) -> None:
    with read_ahead(file):
        pass
    FRAME[:1].write_parquet(file)
    assert parquet_frame(file).equals(FRAME[:1])


@pytest.mark.parametrize("content", [b"", b"PAR1 and nothing of use PAR1"], ids=["empty", "broken"])
def test_a_file_that_cannot_be_read_is_refused_as_without(content: bytes, file: Path) -> None:
    file.write_bytes(content)
    with pytest.raises(BadInputError) as plain:
        read_table(file)
    with read_ahead(file), pytest.raises(BadInputError) as ahead:
        read_table(file)
    assert str(ahead.value) == str(plain.value)
    assert str(file) in str(ahead.value)
