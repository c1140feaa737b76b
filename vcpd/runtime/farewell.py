"""The last moments of a process whose work is closed: what does not listen goes down with it."""

import asyncio
import os
import sys
from typing import Any, Final

import structlog

LISTEN_S: Final = 3.0
log = structlog.get_logger(__name__)


async def take_leave(code: int) -> int:
    """Give `code` once every other task and thread of the loop has ended; end the process where one does not.

    A task that swallows its cancellation, or a thread that a dead disk holds, would keep the loop open.
    """
    deaf = await _deaf_tasks()
    threads = asyncio.create_task(asyncio.get_running_loop().shutdown_default_executor())
    done, _ = await asyncio.wait({threads}, timeout=LISTEN_S)
    if deaf or not done:
        log.error("daemon.left_behind", tasks=deaf, threads=not done)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


async def _deaf_tasks() -> list[str]:
    """Cancel every other task; gives the names of those that do not end."""
    rest: set[asyncio.Task[Any]] = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    if rest:
        await asyncio.wait(rest, timeout=LISTEN_S)
    return [task.get_name() for task in rest if not task.done()]
