"""The first warm-up, in a process that is thrown away: what compiling takes never stays in a worker.

The workers come after it and find everything compiled. So it is done once, not by all of them at the same
time, and a worker can be expected to be warm soon.
"""

import asyncio
import signal
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from typing import Final

from vcpd.domain.errors import UnavailableError
from vcpd.runtime.launch import context_of, starting_quietly
from vcpd.runtime.settings import StartMethod
from vcpd.runtime.worker_process import WarmUp, die_with_the_daemon, give_way

TIMEOUT_S: Final = 600.0


async def rehearse(method: StartMethod, warm_ups: Sequence[WarmUp], preload: Sequence[str]) -> None:
    """Go through the warm-ups once. UnavailableError when they do not come to their end."""
    starting = asyncio.ensure_future(asyncio.to_thread(_start, method, tuple(warm_ups), tuple(preload)))
    try:
        process = await asyncio.shield(starting)
    except asyncio.CancelledError:
        await _end(await starting)
        raise
    except OSError as error:
        raise UnavailableError(f"a process to warm up in cannot be started: {error}") from error
    try:
        async with asyncio.timeout(TIMEOUT_S):
            await _ended(process)
    except TimeoutError:
        raise UnavailableError(f"the first warm-up took longer than {TIMEOUT_S:g} s") from None
    finally:
        code = await _end(process)
    if code:
        raise UnavailableError(f"the first warm-up ended with {code}")


def perform_all(warm_ups: Sequence[WarmUp]) -> None:
    """The throwaway process: polite, but never starved as a worker at idle priority may be."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    die_with_the_daemon()
    give_way()
    for warm_up in warm_ups:
        warm_up()


def _start(method: StartMethod, warm_ups: Sequence[WarmUp], preload: Sequence[str]) -> BaseProcess:
    process = context_of(method, preload).Process(target=perform_all, args=(warm_ups,), name="vcpd-rehearsal")
    with starting_quietly():
        process.start()
    return process


async def _ended(process: BaseProcess) -> None:
    loop = asyncio.get_running_loop()
    gone = asyncio.Event()
    loop.add_reader(process.sentinel, gone.set)
    try:
        await gone.wait()
    finally:
        loop.remove_reader(process.sentinel)


async def _end(process: BaseProcess) -> int:
    """Its exit code, killed if it still runs."""
    process.kill()
    await asyncio.to_thread(process.join)
    return process.exitcode or 0
