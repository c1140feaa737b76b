"""Stopping in order: drain with a deadline, cancel, close in reverse."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any, Final

import structlog

log = structlog.get_logger(__name__)
SLICE_S: Final = 1.0
PATIENCE_S: Final = 15.0  # asked of the service manager anew in each slice with progress
CANCEL_TIMEOUT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Drain:
    """What is waited for: the tasks still running, a number that grows while they get on, whom to tell."""

    running: Callable[[], Collection[asyncio.Task[Any]]]
    progress: Callable[[], int]
    extend_timeout: Callable[[float], None]

    async def wait(self, deadline_s: float) -> bool:
        """Until nothing runs or the deadline, then cancel the rest. Whether all ended by itself."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + deadline_s
        seen = self.progress()
        while (tasks := self.running()) and loop.time() < deadline:
            await asyncio.wait(tasks, timeout=min(SLICE_S, max(0.0, deadline - loop.time())))
            now = self.progress()
            if now != seen:
                self.extend_timeout(PATIENCE_S)
            seen = now
        return await self._cancel_rest()

    async def _cancel_rest(self) -> bool:
        rest = self.running()
        if not rest:
            return True
        for task in rest:
            log.warning("work_cancelled", task=task.get_name(), reason="the daemon is stopping")
            task.cancel()
        _, stuck = await asyncio.wait(rest, timeout=CANCEL_TIMEOUT_S)
        for task in stuck:
            log.error("work_stuck", task=task.get_name())
        return False


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
