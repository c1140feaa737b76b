"""Bytes on their way to a file: the next ones arrive while the last are written."""

import asyncio
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

BLOCK_BYTES: Final = 1 << 20


class Spool:
    """Call it with bytes: it collects them and has a thread write a block at a time, one block behind.

    Leaving its context writes the rest and closes the file; what went wrong with a block is raised by then.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._parts: list[bytes] = []
        self._collected = 0
        self._writing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._file = await asyncio.to_thread(self._path.open, "wb")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                await self._hand_over()
            await self._written()
        finally:
            if self._file is not None:
                await asyncio.to_thread(self._file.close)

    async def __call__(self, content: bytes) -> None:
        self._parts.append(content)
        self._collected += len(content)
        if self._collected >= BLOCK_BYTES:
            await self._hand_over()

    async def _hand_over(self) -> None:
        """Begin to write what is collected, once the block before is written."""
        await self._written()
        parts, self._parts, self._collected = self._parts, [], 0
        if self._file is None:
            raise RuntimeError("a spool was given bytes outside its context")
        writing = asyncio.to_thread(self._file.writelines, parts)
        self._writing = asyncio.create_task(writing, name=f"write {self._path.name}")

    async def _written(self) -> None:
        writing, self._writing = self._writing, None
        if writing is not None:
            await writing
