"""One worker process as the daemon sees it: start, one task at a time, end."""

import asyncio
import signal
import socket
import time
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from typing import Any, Final, Self

import psutil

from vcpd.domain.errors import UnavailableError, VcpdError
from vcpd.runtime import messages
from vcpd.runtime.launch import launch
from vcpd.runtime.messages import Answer, Task
from vcpd.runtime.settings import WorkerSettings
from vcpd.runtime.worker_process import Conditions

START_TIMEOUT_S: Final = 120.0
JOIN_TIMEOUT_S: Final = 5.0


class WorkerLostError(VcpdError):
    """The task took its worker with it: crashed, out of memory, or killed for its time."""


class Worker:
    """A process that computes. Whoever awaits `run` and is cancelled takes the process down with the task."""

    def __init__(self, process: BaseProcess, channel: socket.socket, settings: WorkerSettings) -> None:
        self.settings = settings
        self.pid = process.pid or 0
        self.tasks_done = 0
        self.private_mb = 0.0
        self.busy_with: str | None = None
        self._process = process
        self._channel = channel
        self._cpu_s = 0.0
        self._killed = False

    @classmethod
    async def launch(
        cls, name: str, settings: WorkerSettings, conditions: Conditions, preload: Sequence[str]
    ) -> Self:
        """Start the process, which is not ready yet. UnavailableError when the machine refuses."""
        launching = asyncio.ensure_future(
            asyncio.to_thread(launch, settings.start_method, name, conditions, preload)
        )
        try:
            process, channel = await asyncio.shield(launching)
        except asyncio.CancelledError:
            launching.add_done_callback(_abandon)
            raise
        except OSError as error:
            raise UnavailableError(f"a worker process cannot be started: {error}") from error
        return cls(process, channel, settings)

    async def get_ready(self) -> None:
        """Wait until it is warm. UnavailableError when it does not come up."""
        try:
            self._reader, self._writer = await asyncio.open_unix_connection(sock=self._channel)
            async with asyncio.timeout(START_TIMEOUT_S):
                answer: Answer = await messages.read(self._reader)
        except (OSError, EOFError) as error:
            reason = await self._obituary()
            raise UnavailableError(f"a worker did not start: {reason}") from error
        except BaseException:
            self.kill()
            raise
        if answer.error is not None:
            await self._obituary()
            raise UnavailableError(f"a worker cannot warm up: {answer.error!r}") from answer.error

    @property
    def is_alive(self) -> bool:
        return not (self._killed or self._reader.at_eof())

    def is_worn(self, settings: WorkerSettings) -> bool:
        """Due for replacement: by age, by weight, or born under other settings."""
        born = self.settings
        return (
            self.tasks_done >= settings.recycle_after_tasks
            or self.private_mb > settings.memory_mark_mb
            or born.memory_limit_mb != settings.memory_limit_mb
            or born.rest_after_s != settings.rest_after_s
            or born.start_method != settings.start_method
        )

    async def run(self, task: Task, timeout_s: float) -> Any:
        """The task's value, or what it raised; WorkerLostError when the worker did not live to tell."""
        self.busy_with = task.name
        try:
            self._writer.write(messages.pack(task))
            answer = await self._answer_within(timeout_s)
        except (OSError, EOFError):
            raise WorkerLostError(await self._obituary()) from None
        except BaseException:
            self.kill()
            raise
        finally:
            self.busy_with = None
        return self._unwrap(answer)

    def _unwrap(self, answer: Answer) -> Any:
        self.tasks_done += 1
        self.private_mb, self._cpu_s = answer.private_mb, answer.cpu_s
        if isinstance(answer.error, MemoryError):
            self.kill()
            raise WorkerLostError(f"it asked for more than the limit of {self.settings.memory_limit_mb} MB")
        if answer.error is not None:
            raise answer.error
        return answer.value

    async def _answer_within(self, timeout_s: float) -> Answer:
        """Wait for the answer; a worker that only waits for a core is not late."""
        await self._writer.drain()
        reading = asyncio.ensure_future(messages.read(self._reader))
        left_s = timeout_s
        try:
            while not (await asyncio.wait({reading}, timeout=left_s))[0]:
                left_s = timeout_s - self._cpu_since_last_answer_s()
                if not self._waits_for_a_core() or left_s < timeout_s / 10:
                    self.kill()
                    raise WorkerLostError(f"it took longer than {timeout_s:g} s")
            answer: Answer = reading.result()
            return answer
        finally:
            reading.cancel()

    def _cpu_since_last_answer_s(self) -> float:
        try:
            times = psutil.Process(self.pid).cpu_times()
        except psutil.Error:
            return float("inf")
        return float(times.user + times.system) - self._cpu_s

    def _waits_for_a_core(self) -> bool:
        try:
            return bool(psutil.Process(self.pid).status() == psutil.STATUS_RUNNING)
        except psutil.Error:
            return False

    async def _obituary(self) -> str:
        """Join the dead and say how it died."""
        code = await asyncio.to_thread(self._join, JOIN_TIMEOUT_S)
        self.kill()
        if code is None:
            return "its worker went silent"
        return (
            f"its worker died of {signal.Signals(-code).name}"
            if code < 0
            else f"its worker exited with {code}"
        )

    def _join(self, timeout_s: float) -> int | None:
        self._process.join(timeout_s)
        return self._process.exitcode

    def kill(self) -> None:
        """End the process now; what it computed is lost."""
        self._killed = True
        if self._process.is_alive():
            self._process.kill()
        if hasattr(self, "_writer"):
            self._writer.close()
        else:
            self._channel.close()

    async def end(self, timeout_s: float) -> None:
        """Close the channel, which lets an idle worker leave; kill it when it stays, and join it."""
        if not self._killed:
            self._killed = True
            self._writer.close()
        deadline_s = time.monotonic() + timeout_s
        if await asyncio.to_thread(self._join, max(0.0, deadline_s - time.monotonic())) is None:
            self._process.kill()
            await asyncio.to_thread(self._join, JOIN_TIMEOUT_S)


def _abandon(launching: "asyncio.Future[tuple[BaseProcess, socket.socket]]") -> None:
    """Nobody waits for this worker any more."""
    if not launching.cancelled() and launching.exception() is None:
        process, channel = launching.result()
        process.kill()
        channel.close()
