"""A bell beside a nap: whichever comes first."""

import asyncio
from typing import Final

from vcpd.ports import Clock

LONGEST_NAP_S: Final = 60.0  # the wall may jump meanwhile


class Bell:
    """Rung by those who have something; waited for by one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rung = asyncio.Event()

    def ring(self) -> None:
        self._rung.set()

    async def wait(self, seconds: float) -> None:
        """Until it rings, at most `seconds`; a ring since the last wait counts at once."""
        if not self._rung.is_set():
            ringing = asyncio.create_task(self._rung.wait(), name="alert-bell")
            nap = asyncio.create_task(self._clock.sleep(min(seconds, LONGEST_NAP_S)), name="alert-nap")
            try:
                await asyncio.wait({ringing, nap}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                ringing.cancel()
                nap.cancel()
        self._rung.clear()
