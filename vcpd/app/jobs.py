"""The jobs, each put together from what it needs, under the policies of the configuration."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from vcpd.app.market import Market
from vcpd.app.panels import UniversePanels
from vcpd.app.storage import Storage
from vcpd.config import Configuration
from vcpd.domain.errors import ConfigurationError
from vcpd.domain.runs import RunContext, RunResult
from vcpd.domain.sessions import TradingCalendar
from vcpd.jobs.collect import Collect
from vcpd.jobs.doubts import Doubting
from vcpd.jobs.housekeeping import Housekeeping
from vcpd.jobs.instruments import Instruments
from vcpd.jobs.keeping import Keeping, World, assemble
from vcpd.jobs.reconcile import Reconcile
from vcpd.jobs.risk import Risk
from vcpd.jobs.screen import Screen
from vcpd.jobs.sectors import Sectors
from vcpd.jobs.snapshot import Snapshot
from vcpd.jobs.watch import Watch
from vcpd.ports import Clock, Workers
from vcpd.runtime.memory import give_memory_back
from vcpd.schedule.policies import JobPolicy
from vcpd.schedule.work import Job

LIVE: Final = frozenset({"screen", "watch"})  # started by hand, these work on the running session
LASTING: Final = frozenset({"watch"})

KINDS: Final = frozenset({"instruments", "collect", "reconcile", "watch", "screen", "risk", "housekeeping"})

Work = Callable[[RunContext], Awaitable[RunResult]]


@dataclass(frozen=True, slots=True)
class Means:
    """What jobs are made from."""

    market: Market
    storage: Storage
    panels: UniversePanels
    workers: Workers
    clock: Clock
    calendar: TradingCalendar
    watch: Watch
    sectors: Sectors | None = None


def build_jobs(configuration: Configuration, means: Means) -> Mapping[str, Job]:
    """Every configured job by name. ConfigurationError for a table that names no job."""
    if problems := kind_problems(configuration.jobs):
        raise ConfigurationError(problems)
    works = _works(configuration, means)
    jobs = {}
    for name, policy in configuration.jobs.items():
        kind = kind_of(name, policy)
        work = _leaving_no_memory(works[kind]) if policy.heavy else works[kind]
        jobs[name] = Job(policy, work, live=kind in LIVE, lasting=kind in LASTING)
    return jobs


def kind_problems(policies: Mapping[str, JobPolicy]) -> list[str]:
    """One line for each table that names no job."""
    expected = ", ".join(sorted(KINDS))
    return [
        f"jobs.{name}: there is no job {kind_of(name, policy)!r}; expected one of {expected}"
        for name, policy in policies.items()
        if kind_of(name, policy) not in KINDS
    ]


def _leaving_no_memory(work: Work) -> Work:
    """A heavy job's memory goes back to the machine when it ends, however it ends."""

    async def tidied(context: RunContext) -> RunResult:
        try:
            return await work(context)
        finally:
            await asyncio.to_thread(give_memory_back)

    return tidied


def kind_of(name: str, policy: JobPolicy) -> str:
    """The job that a table runs: the one it names, or its namesake."""
    return policy.runs or name


def _works(configuration: Configuration, means: Means) -> Mapping[str, Work]:
    storage, client = means.storage, means.market.client
    keeping = _keeping(configuration, means)
    return {
        "instruments": Instruments(client, storage.instruments, means.sectors, means.panels),
        "collect": Collect(keeping),
        "reconcile": Reconcile(keeping),
        "watch": means.watch,
        "screen": Screen(
            means.panels,
            means.workers,
            storage.setups,
            keeping.sweep,
            means.clock,
            means.calendar,
            configuration.screen,
        ),
        "risk": Risk(means.panels, means.workers, storage.risk, configuration.risk),
        "housekeeping": Housekeeping(storage.runs, storage.database, means.clock),
    }


def _keeping(configuration: Configuration, means: Means) -> Keeping:
    storage, universe = means.storage, means.panels.universe
    doubting = Doubting(
        configuration.quality, configuration.universe.min_price, configuration.universe.min_traded_value
    )
    world = World(means.market.client, storage.bars, storage.quarantine, means.clock, means.calendar)
    snapshot = Snapshot(means.panels, means.workers, storage.quarantine, doubting)
    return assemble(world, configuration.collect, universe, snapshot)
