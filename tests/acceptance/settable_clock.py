"""The real daemon on a wall clock that a test can set: its offset in seconds stands in a file.

`python -m tests.acceptance.settable_clock run --config ... --now ...`; everything else is `vcpd`. Monotonic
time does not follow the file, nor does the exchange in its own process: only the wall clock is wrong.
"""

import os
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from vcpd.app import market
from vcpd.cli import run
from vcpd.cli.main import main
from vcpd.ports import Clock
from vcpd.runtime.clock import VirtualClock

OFFSET_FILE_VARIABLE: Final = "TEST_CLOCK_OFFSET_FILE"


class SettableClock:
    """A virtual clock plus the file's offset. The scheduler checks it, as it checks no VirtualClock."""

    def __init__(self, start: datetime, speed: float, since: datetime | None, offset_file: Path) -> None:
        self._unset = VirtualClock(start, speed, since)
        self._offset_file = offset_file
        self.start, self.speed, self.since = self._unset.start, self._unset.speed, self._unset.since

    def now(self) -> datetime:
        return self._unset.now() + timedelta(seconds=float(self._offset_file.read_text(encoding="ascii")))

    def monotonic_s(self) -> float:
        return self._unset.monotonic_s()

    async def sleep(self, seconds: float) -> None:
        await self._unset.sleep(seconds)


def make_clock(now: datetime | None, speed: float, since: datetime | None) -> Clock:
    assert now is not None
    return SettableClock(now, speed, since, Path(os.environ[OFFSET_FILE_VARIABLE]))


if __name__ == "__main__":
    vars(run)["make_clock"] = make_clock
    vars(market)["VirtualClock"] = SettableClock  # the exchange gets the clock as it is before it is set
    sys.exit(main(sys.argv[1:]))
