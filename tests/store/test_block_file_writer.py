"""Bytes that pass a spool stand in its file, whole and in order."""

import asyncio
import os
from pathlib import Path

import psutil
import pytest

from vcpd.store.panel import BLOCK_BYTES, BlockFileWriter


async def test_all_that_is_given_is_written_in_order(tmp_path: Path) -> None:
    """Parts smaller and larger than a block, the last one not filling any."""
    parts = [
        bytes([number]) * size for number, size in enumerate((1, BLOCK_BYTES, 7, BLOCK_BYTES // 2 + 1, 3))
    ]
    async with BlockFileWriter(tmp_path / "bars") as writer:
        for part in parts:
            await writer(part)
    assert (tmp_path / "bars").read_bytes() == b"".join(parts)


async def test_nothing_given_leaves_an_empty_file(tmp_path: Path) -> None:
    async with BlockFileWriter(tmp_path / "bars"):
        pass
    assert (tmp_path / "bars").read_bytes() == b""


async def test_a_full_disk_is_reported_at_the_latest_on_leaving() -> None:
    """The block is written behind the caller's back, its failure does not stay there."""
    with pytest.raises(OSError, match="No space left"):
        async with BlockFileWriter(Path("/dev/full")) as writer:
            await writer(bytes(BLOCK_BYTES))


async def write_and_break_off(path: Path) -> None:
    async with BlockFileWriter(path) as writer:
        await writer(bytes(BLOCK_BYTES))
        raise ValueError("broken off")


async def test_an_error_of_the_giver_comes_through_and_the_file_is_closed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="broken off"):
        await write_and_break_off(tmp_path / "bars")
    assert str(tmp_path / "bars") not in {file.path for file in psutil.Process().open_files()}


async def test_a_file_of_an_earlier_copy_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "bars").write_bytes(b"earlier")
    async with BlockFileWriter(tmp_path / "bars") as writer:
        await writer(b"new")
    assert (tmp_path / "bars").read_bytes() == b"new"


async def test_a_cancelled_writer_ends_when_its_thread_has_closed_the_file(tmp_path: Path) -> None:
    """The file is a named pipe: the thread cannot open it before the other end is read."""
    path = tmp_path / "bars"
    os.mkfifo(path)
    is_buffered = asyncio.Event()

    async def write() -> None:
        async with BlockFileWriter(path) as writer:
            await writer(bytes(BLOCK_BYTES))
            is_buffered.set()
            await asyncio.Event().wait()

    writing = asyncio.create_task(write())
    await is_buffered.wait()
    writing.cancel()
    for _ in range(10):  # more turns of the loop than a writer that does not wait needs to end
        await asyncio.sleep(0)
    is_early = writing.done()
    content = await asyncio.to_thread(path.read_bytes)
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert not is_early
    assert content == bytes(BLOCK_BYTES)
    assert str(path) not in {file.path for file in psutil.Process().open_files()}
