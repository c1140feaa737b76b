"""What is measured every few seconds, so that /status, health and /metrics answer without asking anybody."""

import asyncio
import shutil
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vcpd.app.ledger import RunLedger
from vcpd.domain.alerts import OutboxCounts
from vcpd.domain.errors import VcpdError
from vcpd.domain.quality import OWNERS_CHOICE, Flag
from vcpd.domain.runs import Run
from vcpd.schedule.snapshot import JobStatus, SchedulerStatus

if TYPE_CHECKING:  # it holds us
    from vcpd.app.parts import Parts

CPU_SAMPLES: Final = 12  # a minute of five seconds each
ANSWER_WITHIN_S: Final = 20.0
RECENT_RUNS: Final = 100
STALLED_AFTER_S: Final = 900.0
GIVEN_UP_SHOWN: Final = timedelta(days=1)
NOTHING_KEPT: Final = OutboxCounts()


class Stalls:
    """Since when each running job's progress stands still."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[tuple[int, int, str], float]] = {}

    def look(self, jobs: Iterable[JobStatus], now_s: float) -> None:
        seen = {}
        for job in jobs:
            if job.running is not None and job.running.run_id is not None:
                mark = (job.running.done, job.running.total, job.running.note)
                before = self._seen.get(job.running.run_id)
                seen[job.running.run_id] = before if before and before[0] == mark else (mark, now_s)
        self._seen = seen

    def stalled_s(self, run_id: int | None, now_s: float) -> float:
        """How long the run shows no progress; 0 for one that was never looked at."""
        return now_s - self._seen[run_id][1] if run_id in self._seen else 0.0


@dataclass(slots=True)
class Vitals:
    """The latest measurements; None and empty mean not measured yet."""

    since: datetime
    cpu_pct: deque[float] = field(default_factory=lambda: deque(maxlen=CPU_SAMPLES))
    ping_s: float | None = None
    database_trouble: str | None = None
    disk_free_pct: float | None = None
    recent: Sequence[Run] = ()
    at_work: SchedulerStatus | None = None  # just before `recent` was read
    unwanted: frozenset[str] = frozenset()  # symbols kept out by the owner's choice alone
    quarantined: Mapping[str, int] = field(default_factory=dict)
    bars_estimate: int = 0
    states: Mapping[str, int] = field(default_factory=dict)
    stamp: object = None
    outbox: OutboxCounts = NOTHING_KEPT
    ledger: RunLedger = field(default_factory=RunLedger)
    stalls: Stalls = field(default_factory=Stalls)
    _asking: asyncio.Task[None] | None = None

    async def measure(self, parts: "Parts") -> None:
        """Never raises for a store that is away: that is a measurement too."""
        if parts.system is not None:
            self.cpu_pct.append(parts.system.machine_cpu_pct)
        self.stalls.look(parts.scheduler.snapshot().jobs, parts.clock.monotonic_s())
        self.disk_free_pct = await asyncio.to_thread(_disk_free_pct, state_folder(parts))
        self.database_trouble = await self._trouble_of_store(parts)
        if self.database_trouble is not None:
            self.ping_s = None

    async def _trouble_of_store(self, parts: "Parts") -> str | None:
        """What keeps the store from telling; a question that it leaves open is not asked a second time."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask_store(parts), name="store-asking")
        try:
            await asyncio.wait({self._asking}, timeout=ANSWER_WITHIN_S)
        except asyncio.CancelledError:
            self._asking.cancel()
            raise
        if not self._asking.done():
            return f"no answer within {ANSWER_WITHIN_S:.0f} s"
        try:
            self._asking.result()
        except VcpdError as error:
            return str(error)
        return None

    async def _ask_store(self, parts: "Parts") -> None:
        storage = parts.storage
        self.ping_s = await storage.database.ping()
        at_work = parts.scheduler.snapshot()
        self.recent, self.at_work = await storage.runs.recent(RECENT_RUNS), at_work
        self.outbox = await storage.outbox.counts(parts.clock.now() - GIVEN_UP_SHOWN)
        self.ledger.note(self.recent, self.since)
        stamp = tuple((run.id, run.outcome) for run in self.recent)
        if stamp != self.stamp:
            await self._count(parts)
            self.stamp = stamp

    async def _count(self, parts: "Parts") -> None:
        """What only runs change is counted after runs."""
        storage = parts.storage
        self.unwanted = unwanted(await storage.quarantine.flags())
        self.quarantined = {str(rule): rows for rule, rows in (await storage.quarantine.counts()).items()}
        self.bars_estimate = (await storage.database.sizes()).get("bars", (0, 0))[1]
        self.states = await storage.setups.listed_states()


def unwanted(flags: Iterable[Flag]) -> frozenset[str]:
    """The symbols that nothing but the owner's choice keeps out."""
    excluding = [flag for flag in flags if flag.excludes]
    doubtful = {flag.symbol for flag in excluding if flag.rule not in OWNERS_CHOICE}
    return frozenset(flag.symbol for flag in excluding) - doubtful


def state_folder(parts: "Parts") -> Path:
    return Path(parts.reloads.path) / parts.configuration.daemon.state_dir


def _disk_free_pct(folder: Path) -> float | None:
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return None
    return 100 * usage.free / usage.total
