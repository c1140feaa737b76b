"""The live watch, put together; which heavy job runs it learns from the scheduler, which comes later."""

from collections.abc import Callable

from vcpd.app.market import Market
from vcpd.app.storage import Storage
from vcpd.config import Configuration
from vcpd.domain.sessions import TradingCalendar
from vcpd.jobs.watch import Watch, WatchMeans
from vcpd.kite.client import KiteClient
from vcpd.ports import Clock
from vcpd.runtime.clock import WallClock
from vcpd.schedule.scheduler import Scheduler


def build_watch(
    configuration: Configuration, market: Market, storage: Storage, clock: Clock, calendar: TradingCalendar
) -> Watch:
    """A watch that nobody is told of yet: `notifier` and `heavy` are set by those who come later."""
    means = WatchMeans(
        market=market.client,
        live=market.live,
        minutes=market.client if isinstance(market.client, KiteClient) else None,
        setups=storage.setups,
        store=storage.watch,
        runs=storage.runs,
        clock=clock,
        pace=WallClock(),
        calendar=calendar,
    )
    return Watch(means, configuration.watch, configuration.screen)


def heavy_job_of(scheduler: Scheduler) -> Callable[[], str | None]:
    """The name of the heavy job that runs right now."""

    def heavy() -> str | None:
        jobs = scheduler.snapshot().jobs
        return next((job.name for job in jobs if job.heavy and job.running is not None), None)

    return heavy
