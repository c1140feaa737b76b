"""Builds all jobs as the configuration describes them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from vcpd.analysis.positions import PositionSettings
from vcpd.app.broker import BrokerService
from vcpd.app.holiday_lists import HolidayListUpdate
from vcpd.app.live_configuration import LiveConfiguration
from vcpd.app.market import MarketConnection
from vcpd.app.setup_alerts import AlertFacts, setup_url
from vcpd.app.storage import Storage
from vcpd.config import Configuration
from vcpd.core.errors import ConfigurationError
from vcpd.domain.runs import RunContext, RunResult
from vcpd.jobs.backup import BackUp
from vcpd.jobs.collect import Collect, Reconcile
from vcpd.jobs.facts import FactsSync, QuotedFacts, QuotedFactsSource
from vcpd.jobs.fetch import BarWriter, HistoryFetcher
from vcpd.jobs.gaps import BarFinality
from vcpd.jobs.maintenance import Housekeeping, SectorSource, SyncInstruments
from vcpd.jobs.market_days import QuoteEvidence, UpdateCalendar
from vcpd.jobs.market_regime import RecordMarketRegime
from vcpd.jobs.panel_refresh import PanelRefresh, QualityFilterParams, UniversePanels
from vcpd.jobs.positions import PositionJudge, Positions
from vcpd.jobs.price_levels import LevelReader, ReportReachedLevels
from vcpd.jobs.quote_snapshot import QuoteSnapshot
from vcpd.jobs.scan import Scan, ScanEvaluator, ScanLibrary
from vcpd.jobs.screen import ScoreRisk, Screen
from vcpd.jobs.watch import Watch
from vcpd.jobs.watch_levels import LevelSources
from vcpd.ports import BackupStore, Clock, Notifier, Workers
from vcpd.runtime.clock import WallClock
from vcpd.runtime.engine_workers import EngineWorkers
from vcpd.runtime.process_tuning import trim_heap
from vcpd.schedule.job import Job
from vcpd.schedule.policy import JobPolicy

# Started by hand, these work on the running session.
LIVE_KINDS: Final = frozenset({"screen", "watch", "positions"})
LONG_RUNNING_KINDS: Final = frozenset({"watch"})
JOB_KINDS: Final = frozenset(
    {
        "instruments",
        "calendar",
        "collect",
        "reconcile",
        "watch",
        "regime",
        "screen",
        "risk",
        "scan",
        "positions",
        "levels",
        "housekeeping",
        "backup",
    }
)
JobFunction = Callable[[RunContext], Awaitable[RunResult]]


@dataclass(frozen=True, slots=True)
class JobFactory:
    """Builds the jobs over the same market, stores and workers, at the start and at each reload.

    Screens and risk compute on `engine`, which may be a cluster; all else in the local workers.
    """

    market: MarketConnection
    storage: Storage
    panels: UniversePanels
    workers: Workers
    engine: EngineWorkers
    clock: Clock
    watch: Watch
    sectors: SectorSource
    backups: BackupStore
    notifier: Notifier
    holidays: HolidayListUpdate
    broker: BrokerService

    def build(self, configuration: Configuration) -> Mapping[str, Job]:
        """Every configured job by name. ConfigurationError for a table that names no job."""
        if problems := unknown_kind_problems(configuration.jobs):
            raise ConfigurationError(problems)
        functions = self._functions(configuration)
        return {
            name: _job(job_kind(name, policy), policy, functions)
            for name, policy in configuration.jobs.items()
        }

    def _functions(self, configuration: Configuration) -> Mapping[str, JobFunction]:
        """Every job by its kind."""
        storage, panels, workers, clock = self.storage, self.panels, self.workers, self.clock
        collect, reconcile = self._collection_jobs(configuration)
        thresholds, calendar = configuration.screen, configuration.calendar
        return {
            "instruments": SyncInstruments(self.market.client, storage.instruments, self.sectors, panels),
            "calendar": self._calendar_job(configuration),
            "collect": collect,
            "reconcile": reconcile,
            "watch": self.watch,
            "regime": RecordMarketRegime(
                panels,
                workers,
                storage.bars,
                storage.regimes,
                configuration.regime,
                thresholds.min_rs_universe,
            ),
            "screen": Screen(
                panels, self.engine, storage.setups, collect.quotes, clock, calendar, thresholds
            ),
            "risk": ScoreRisk(panels, self.engine, storage.risk, configuration.risk),
            "scan": Scan(
                panels,
                ScanEvaluator(workers, storage.scan_values),
                self.notifier,
                clock,
                calendar,
                ScanLibrary(configuration.scans, storage.saved_scans),
                thresholds.min_rs_universe,
            ),
            "positions": Positions(
                replace(self.position_judge(), calendar=calendar),
                self.notifier,
                clock,
                position_settings(configuration),
            ),
            "levels": self._levels_job(configuration),
            "housekeeping": Housekeeping(storage.runs, storage.database, clock),
            "backup": BackUp(
                self.backups,
                storage.runs,
                clock,
                configuration.backup,
                is_embedded=storage.embedded is not None,
            ),
        }

    def _calendar_job(self, configuration: Configuration) -> UpdateCalendar:
        """The market's own evidence of its days where it has any, else the dates of its quotes."""
        clock, calendar, market = self.clock, configuration.calendar, self.market
        evidence = market.day_evidence or QuoteEvidence(market.client, self.panels.universe, clock, calendar)
        return UpdateCalendar(evidence, self.holidays.days, clock, calendar, self.holidays)

    def position_judge(self) -> PositionJudge:
        """Judges an account on the same panel and store, for the job and for whoever changes it."""
        storage = self.storage
        return PositionJudge(
            self.panels,
            self.workers,
            storage.bars,
            storage.fills,
            storage.position_notes,
            storage.position_reports,
            self.broker,
            self.watch.calendar,
        )

    def _levels_job(self, configuration: Configuration) -> ReportReachedLevels:
        link = partial(setup_url, configuration.web.page_url)
        return ReportReachedLevels(
            self.storage.watchlists,
            self.level_reader(),
            self.storage.runs,
            self.notifier,
            self.clock,
            link,
            self.watch.facts,
        )

    def level_reader(self) -> LevelReader:
        """Reads price levels on the same panel and store, for the job and for the port."""
        return build_level_reader(self.panels, self.workers, self.storage)

    def _collection_jobs(self, configuration: Configuration) -> tuple[Collect, Reconcile]:
        """The jobs that keep the bars complete, over the same market and stores."""
        storage, market, clock = self.storage, self.market.client, self.clock
        universe, settings = self.panels.universe, configuration.universe
        finality = BarFinality(configuration.calendar, configuration.collect)
        writer = BarWriter(storage.bars, storage.quarantine, configuration.calendar)
        history = HistoryFetcher(market, writer, finality, clock)
        quoted = None if self.market.facts else QuotedFacts(configuration.exchange.price_bands)
        quotes = QuoteSnapshot(market, writer, self.panels, finality, clock, quoted)
        flags = QualityFilterParams(
            configuration.quality, settings.min_price, settings.min_traded_value, settings.max_idle_pct
        )
        refresh = PanelRefresh(
            self.panels, self.workers, storage.quarantine, flags, self.market.history_flags
        )
        source = self.market.facts
        if quoted is not None:
            source = QuotedFactsSource(quoted, market, universe, finality, clock)
        facts = None if source is None else FactsSync(source, storage.facts, configuration.calendar)
        return (
            Collect(universe, storage.bars, history, quotes, refresh, finality, clock, facts),
            Reconcile(universe, storage.bars, history, refresh, finality, clock),
        )


def _job(kind: str, policy: JobPolicy, functions: Mapping[str, JobFunction]) -> Job:
    function = _with_heap_trim(functions[kind]) if policy.heavy else functions[kind]
    return Job(policy, function, live=kind in LIVE_KINDS, ends_with_session=kind in LONG_RUNNING_KINDS)


def unknown_kind_problems(policies: Mapping[str, JobPolicy]) -> list[str]:
    """One line for each table that names no job."""
    expected = ", ".join(sorted(JOB_KINDS))
    return [
        f"jobs.{name}: there is no job {job_kind(name, policy)!r}; expected one of {expected}"
        for name, policy in policies.items()
        if job_kind(name, policy) not in JOB_KINDS
    ]


def _with_heap_trim(work: JobFunction) -> JobFunction:
    """Wrap a heavy job so that its memory returns to the system when it ends, with any outcome."""

    async def tidied(context: RunContext) -> RunResult:
        try:
            return await work(context)
        finally:
            await asyncio.to_thread(trim_heap)

    return tidied


def job_kind(name: str, policy: JobPolicy) -> str:
    """The job that a table runs: the one it names, or its namesake."""
    return policy.job or name


def position_settings(configuration: Configuration) -> PositionSettings:
    """The parameters by which positions are evaluated."""
    return PositionSettings(
        rules=configuration.positions.default,
        rule_sets=configuration.positions.by_name(),
        heat=configuration.heat,
        equity=configuration.size.equity,
        costs=configuration.costs,
        crowding=configuration.crowding,
    )


def build_level_reader(panels: UniversePanels, workers: Workers, storage: Storage) -> LevelReader:
    """Reads price levels of the stored watch lists from the panel."""
    return LevelReader(panels, workers, storage.bars, storage.watchlists)


def build_watch(  # noqa: PLR0913, PLR0917 - each part by itself
    live: LiveConfiguration,
    market: MarketConnection,
    storage: Storage,
    clock: Clock,
    notifier: Notifier,
    reader: LevelReader,
) -> Watch:
    """The live watch, publishing through `notifier`; price levels come from `reader`."""
    configuration, facts = live.configuration, AlertFacts(live, storage)
    link = partial(setup_url, configuration.web.page_url)
    return Watch(
        market=market.client,
        live=market.live,
        minutes=market.minutes,
        setups=storage.setups,
        store=storage.watch,
        runs=storage.runs,
        clock=clock,
        real_clock=WallClock(),
        calendar=configuration.calendar,
        price_bands=configuration.exchange.price_bands,
        notifier=notifier,
        facts=facts,
        levels=LevelSources(storage.watchlists, reader, link, facts),
        settings=configuration.watch,
        thresholds=configuration.screen,
    )
