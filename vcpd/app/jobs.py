"""Build all jobs from their dependencies and the configured policies."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp

from vcpd.app.market import MarketConnection
from vcpd.app.panels import UniversePanelStore
from vcpd.app.storage import Storage
from vcpd.bhavcopy.client import BhavcopyClient
from vcpd.config import Configuration
from vcpd.core.errors import ConfigurationError, RetryableError
from vcpd.domain.calendar import TradingCalendar
from vcpd.domain.runs import RunContext, RunResult
from vcpd.jobs.backup import BackUp
from vcpd.jobs.collect import Collect, Reconcile
from vcpd.jobs.fetch import HistoryFetcher
from vcpd.jobs.gaps import BarFinality
from vcpd.jobs.ingest import BarWriter
from vcpd.jobs.maintenance import Housekeeping, SectorListFetch, SectorSource, SyncInstruments
from vcpd.jobs.panel_refresh import PanelRefresh, QualityFilterParams
from vcpd.jobs.quote_snapshot import QuoteSnapshot
from vcpd.jobs.screen import ScoreRisk, Screen
from vcpd.jobs.universe import Universe
from vcpd.jobs.watch import Watch, WatchDependencies
from vcpd.kite.client import KiteClient
from vcpd.ports import BackupStore, Clock, Notifier, Workers
from vcpd.runtime.clock import WallClock
from vcpd.runtime.process_tuning import trim_heap
from vcpd.schedule.job import Job
from vcpd.schedule.policy import JobPolicy

LIVE_KINDS: Final = frozenset({"screen", "watch"})  # started by hand, these work on the running session
LONG_RUNNING_KINDS: Final = frozenset({"watch"})
JOB_KINDS: Final = frozenset(
    {"instruments", "collect", "reconcile", "watch", "screen", "risk", "housekeeping", "backup"}
)
JobFunction = Callable[[RunContext], Awaitable[RunResult]]
SECTORS_TIMEOUT: Final = aiohttp.ClientTimeout(total=20)


@dataclass(frozen=True, slots=True)
class JobDependencies:
    """What jobs are made from."""

    market: MarketConnection
    storage: Storage
    panels: UniversePanelStore
    workers: Workers
    clock: Clock
    calendar: TradingCalendar
    watch: Watch
    backups: BackupStore
    sectors: SectorSource | None = None


def build_jobs(configuration: Configuration, means: JobDependencies) -> Mapping[str, Job]:
    """Every configured job by name. ConfigurationError for a table that names no job."""
    if problems := unknown_kind_problems(configuration.jobs):
        raise ConfigurationError(problems)
    works = _job_functions(configuration, means)
    jobs = {}
    for name, policy in configuration.jobs.items():
        kind = job_kind(name, policy)
        work = _with_heap_trim(works[kind]) if policy.heavy else works[kind]
        jobs[name] = Job(policy, work, live=kind in LIVE_KINDS, ends_with_session=kind in LONG_RUNNING_KINDS)
    return jobs


def unknown_kind_problems(policies: Mapping[str, JobPolicy]) -> list[str]:
    """One line for each table that names no job."""
    expected = ", ".join(sorted(JOB_KINDS))
    return [
        f"jobs.{name}: there is no job {job_kind(name, policy)!r}; expected one of {expected}"
        for name, policy in policies.items()
        if job_kind(name, policy) not in JOB_KINDS
    ]


def _with_heap_trim(work: JobFunction) -> JobFunction:
    """A heavy job's memory goes back to the machine when it ends, however it ends."""

    async def tidied(context: RunContext) -> RunResult:
        try:
            return await work(context)
        finally:
            await asyncio.to_thread(trim_heap)

    return tidied


def job_kind(name: str, policy: JobPolicy) -> str:
    """The job that a table runs: the one it names, or its namesake."""
    return policy.job or name


def _job_functions(configuration: Configuration, means: JobDependencies) -> Mapping[str, JobFunction]:
    storage, client = means.storage, means.market.client
    collect, reconcile = _collection_jobs(configuration, means)
    return {
        "instruments": SyncInstruments(client, storage.instruments, means.sectors, means.panels),
        "collect": collect,
        "reconcile": reconcile,
        "watch": means.watch,
        "screen": Screen(
            means.panels,
            means.workers,
            storage.setups,
            collect.quotes,
            means.clock,
            means.calendar,
            configuration.screen,
        ),
        "risk": ScoreRisk(means.panels, means.workers, storage.risk, configuration.risk),
        "housekeeping": Housekeeping(storage.runs, storage.database, means.clock),
        "backup": BackUp(
            means.backups,
            storage.runs,
            means.clock,
            configuration.backup,
            is_embedded=storage.embedded is not None,
        ),
    }


def _collection_jobs(configuration: Configuration, means: JobDependencies) -> tuple[Collect, Reconcile]:
    """The jobs that keep the bars complete, over the same market and stores."""
    storage, market, clock = means.storage, means.market.client, means.clock
    universe, settings = means.panels.universe, configuration.universe
    finality = BarFinality(means.calendar, configuration.collect)
    writer = BarWriter(storage.bars, storage.quarantine, means.calendar)
    history = HistoryFetcher(market, writer, finality, clock)
    quotes = QuoteSnapshot(market, writer, universe, means.panels, finality, clock)
    flags = QualityFilterParams(configuration.quality, settings.min_price, settings.min_traded_value)
    adjusted_here = market if isinstance(market, BhavcopyClient) else None
    refresh = PanelRefresh(means.panels, means.workers, storage.quarantine, flags, adjusted_here)
    return (
        Collect(universe, storage.bars, history, quotes, refresh, finality, clock),
        Reconcile(universe, storage.bars, history, refresh, finality, clock),
    )


def build_watch(
    configuration: Configuration,
    market: MarketConnection,
    storage: Storage,
    clock: Clock,
    notifier: Notifier,
) -> Watch:
    """The live watch, publishing through `notifier`."""
    means = WatchDependencies(
        market=market.client,
        live=market.live,
        minutes=market.client if isinstance(market.client, KiteClient) else None,
        setups=storage.setups,
        store=storage.watch,
        runs=storage.runs,
        clock=clock,
        real_clock=WallClock(),
        calendar=configuration.calendar,
        notifier=notifier,
    )
    return Watch(means, configuration.watch, configuration.screen)


def build_sector_source(market: MarketConnection, universe: Universe, folder: Path) -> SectorSource:
    """The simulated market publishes its sectors; any other has those of the lists alone."""
    if market.sandbox is None:
        return SectorSource(universe, folder)
    return SectorSource(
        universe, folder, _sandbox_sector_list(market.http, f"{market.sandbox.url}/sandbox/sectors")
    )


def _sandbox_sector_list(http: aiohttp.ClientSession, url: str) -> SectorListFetch:
    async def read() -> str:
        try:
            async with http.get(url, timeout=SECTORS_TIMEOUT) as answer:
                answer.raise_for_status()
                return await answer.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise RetryableError(f"the simulated market's sectors are away: {error}") from None

    return read
