"""The real daemon with two more signals: SIGUSR1 hangs its event loop, SIGUSR2 its scheduler alone.

`python -m tests.acceptance.hangable run --config ...`; everything else is `vcpd`.
"""

import asyncio
import signal
import sys
import time
from typing import Final

from vcpd.app import background_tasks
from vcpd.cli.main import main
from vcpd.runtime.clock import VirtualClock

HANG_S: Final = 4.0
SCHEDULER_LATE_AFTER_S: Final = 5.0

asleep = VirtualClock.sleep


class Hanging:
    """Whether the scheduler's sleep ends."""

    scheduler = False


async def sleep(clock: VirtualClock, seconds: float) -> None:
    """The clock's own sleep, but one of the scheduler's that never ends."""
    task = asyncio.current_task()
    if Hanging.scheduler and task is not None and task.get_name() == "scheduler":
        await asyncio.Event().wait()
    await asleep(clock, seconds)


def hang_loop(_number: int, _frame: object) -> None:
    time.sleep(HANG_S)


def hang_scheduler(_number: int, _frame: object) -> None:
    Hanging.scheduler = True


if __name__ == "__main__":
    vars(background_tasks)["SCHEDULER_LATE_AFTER_S"] = SCHEDULER_LATE_AFTER_S
    setattr(VirtualClock, "sleep", sleep)  # noqa: B010 - a plain assignment has no type
    signal.signal(signal.SIGUSR1, hang_loop)
    signal.signal(signal.SIGUSR2, hang_scheduler)
    sys.exit(main(sys.argv[1:]))
