"""Runs the warm-ups once in a throwaway process, so that workers find all code compiled.

The workers come after it and find everything compiled. So it is done once, not by all of them at the same
time, and a worker can be expected to be warm soon.
"""

import asyncio
import signal
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from typing import Final

from vcpd.core.errors import UnavailableError
from vcpd.runtime.executor import child_start_guard, start_context
from vcpd.runtime.settings import StartMethod
from vcpd.runtime.worker_process import WarmUp, exit_with_daemon, set_warm_up_priority

WARM_UP_TIMEOUT_S: Final = 600.0


async def precompile(method: StartMethod, warm_ups: Sequence[WarmUp], preload: Sequence[str]) -> None:
    """Go through the warm-ups once. UnavailableError when they do not come to their end."""
    starting = asyncio.ensure_future(
        asyncio.to_thread(_start_process, method, tuple(warm_ups), tuple(preload))
    )
    try:
        process = await asyncio.shield(starting)
    except asyncio.CancelledError:
        await _kill_and_join(await starting)
        raise
    except OSError as error:
        raise UnavailableError(f"a process to warm up in cannot be started: {error}") from error
    try:
        async with asyncio.timeout(WARM_UP_TIMEOUT_S):
            await _wait_for_exit(process)
    except TimeoutError:
        raise UnavailableError(f"the first warm-up took longer than {WARM_UP_TIMEOUT_S:g} s") from None
    finally:
        code = await _kill_and_join(process)
    if code:
        raise UnavailableError(f"the first warm-up ended with {code}")


def run_warm_ups(warm_ups: Sequence[WarmUp]) -> None:
    """The throwaway process: polite, but never starved as a worker at idle priority may be."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    exit_with_daemon()
    set_warm_up_priority()
    for warm_up in warm_ups:
        warm_up()


def _start_process(method: StartMethod, warm_ups: Sequence[WarmUp], preload: Sequence[str]) -> BaseProcess:
    process = start_context(method, preload).Process(target=run_warm_ups, args=(warm_ups,), name="vcpd-trial")
    with child_start_guard():
        process.start()
    return process


async def _wait_for_exit(process: BaseProcess) -> None:
    loop = asyncio.get_running_loop()
    gone = asyncio.Event()
    loop.add_reader(process.sentinel, gone.set)
    try:
        await gone.wait()
    finally:
        loop.remove_reader(process.sentinel)


async def _kill_and_join(process: BaseProcess) -> int:
    """Its exit code, killed if it still runs."""
    process.kill()
    await asyncio.to_thread(process.join)
    return process.exitcode or 0
