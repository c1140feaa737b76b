"""Stopping in order: what was opened is closed in reverse, each part with its deadline."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Closer:
    name: str
    close: Callable[[], Awaitable[object]]
    deadline_s: float


class Closing:
    """What was opened, to be closed in reverse; one that fails or hangs does not keep the others open."""

    def __init__(self) -> None:
        self._closers: list[_Closer] = []

    def push(self, name: str, close: Callable[[], Awaitable[object]], deadline_s: float = 5.0) -> None:
        """Call it right after the opening succeeded."""
        self._closers.append(_Closer(name, close, deadline_s))

    async def close(
        self, on_step: Callable[[str, float], None] = lambda _name, _deadline_s: None
    ) -> list[str]:
        """Close all, telling `on_step` name and deadline of each before. Gives the names that failed."""
        failed = []
        while self._closers:
            closer = self._closers.pop()
            on_step(closer.name, closer.deadline_s)
            if not await _close(closer):
                failed.append(closer.name)
        return failed


async def _close(closer: _Closer) -> bool:
    try:
        async with asyncio.timeout(closer.deadline_s):
            await closer.close()
    except TimeoutError:
        log.error("close_timed_out", part=closer.name, deadline_s=closer.deadline_s)  # noqa: TRY400 - no trace to tell
        return False
    except Exception:
        log.exception("close_failed", part=closer.name)
        return False
    log.debug("closed", part=closer.name)
    return True
