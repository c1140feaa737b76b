"""Signals: one to stop, a second to stop now, one to reload."""

import asyncio
import os
import signal
from collections.abc import Callable
from types import FrameType
from typing import Final, NoReturn

STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class Signals:
    """SIGTERM and SIGINT call `on_stop` once and end the process at the second; SIGHUP calls `on_reload`."""

    def __init__(self, on_stop: Callable[[signal.Signals], None], on_reload: Callable[[], None]) -> None:
        self._on_stop = on_stop
        self._on_reload = on_reload

    def install(self, loop: asyncio.AbstractEventLoop) -> None:
        """Only in the main thread."""
        self._loop = loop
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, self._stop, number)
        loop.add_signal_handler(signal.SIGHUP, self._on_reload)

    def _stop(self, number: signal.Signals) -> None:
        """The second signal must work though the loop hangs: the interpreter handles it, not the loop."""
        for each in STOP_SIGNALS:
            self._loop.remove_signal_handler(each)
            signal.signal(each, exit_now)
        self._on_stop(number)

    def remove(self) -> None:
        for number in (*STOP_SIGNALS, signal.SIGHUP):
            self._loop.remove_signal_handler(number)


def exit_now(number: int, _frame: FrameType | None) -> NoReturn:
    """End without ceremony, with the code that shells give a process killed by this signal."""
    os._exit(128 + number)
