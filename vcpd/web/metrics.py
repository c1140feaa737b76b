"""Metrics of the daemon's state, collected at each scrape; what happens is counted where it happens."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from vcpd.domain.health import MetricsSnapshot

MEGABYTE: Final = 1 << 20


class MetricsCollector(Collector):
    """Turns the values of one moment into metric families."""

    def __init__(self, take: Callable[[], MetricsSnapshot]) -> None:
        self._read = take

    def describe(self) -> Iterator[Metric]:
        """No family is known before the first scrape."""
        yield from ()

    def collect(self) -> Iterator[Metric]:
        figures = self._read()
        yield InfoMetricFamily(
            "vcpd",
            "Version and market of the daemon.",
            value={"version": figures.version, "market": figures.market},
        )
        yield from _daemon(figures)
        yield from _jobs(figures)
        yield from _market(figures)
        yield from _data(figures)
        yield from _workers(figures)
        yield from _store(figures)
        yield from _alerts(figures)
        yield from _watch(figures)


def _daemon(figures: MetricsSnapshot) -> Iterator[Metric]:
    yield _gauge("vcpd_uptime_seconds", "Time since the daemon's start.", figures.uptime_s)
    yield _gauge("vcpd_health_score", "Health score, 0 to 100; /status lists the penalties.", figures.health)
    yield _gauge("vcpd_scheduler_leading", "1 while this daemon schedules the jobs.", figures.leading)
    megabytes = figures.daemon_mb
    yield _gauge(
        "vcpd_daemon_memory_bytes",
        "Proportional set size of the daemon.",
        None if megabytes is None else megabytes * MEGABYTE,
    )
    yield _gauge("vcpd_daemon_threads", "Threads of the daemon.", figures.threads)
    free = figures.disk_free_pct
    yield _gauge(
        "vcpd_disk_free_ratio",
        "Free share of the state directory's disk.",
        None if free is None else free / 100,
    )


def _jobs(figures: MetricsSnapshot) -> Iterator[Metric]:
    running = dict.fromkeys(figures.running_jobs, 1)
    yield _gauges("vcpd_run_running", "1 for each running job.", ("job",), running)
    yield _gauges("vcpd_next_run_seconds", "Time until a job's next run.", ("job",), figures.next_run_s)
    ages_s, now_s = figures.last_done_age_s, figures.now.timestamp()
    ended_s = {job: now_s - age_s for job, age_s in ages_s.items()}
    text = "Instant at which a job last ended with outcome done, in seconds since 1970."
    yield _gauges("vcpd_last_success_timestamp_seconds", text, ("job",), ended_s)
    text = "Former name, served for one release: time since a job last ended with outcome done."
    yield _gauges("vcpd_last_done_age_seconds", text, ("job",), ages_s)


def _market(figures: MetricsSnapshot) -> Iterator[Metric]:
    yield _gauge("vcpd_login_valid", "1 while the market session is valid.", figures.login_valid)
    yield _gauge("vcpd_token_age_seconds", "Time since the last login.", figures.token_age_s)
    yield _gauge(
        "vcpd_token_left_seconds", "Time until the login expires; negative afterwards.", figures.token_left_s
    )


def _data(figures: MetricsSnapshot) -> Iterator[Metric]:
    yield _gauge("vcpd_bars", "Stored bars, estimated by the database.", figures.bars)
    yield _gauge("vcpd_symbols", "Symbols in the panel.", figures.symbols)
    yield _gauge("vcpd_symbols_excluded", "Symbols excluded for data quality.", figures.excluded)
    yield _gauge(
        "vcpd_data_age_sessions", "Age of the newest bars in trading sessions.", figures.age_sessions
    )
    yield _gauges("vcpd_quarantined_bars", "Quarantined bars, by rule.", ("rule",), figures.quarantined)
    yield _gauges("vcpd_setups", "Listed setups, by state.", ("state",), figures.states)


def _workers(figures: MetricsSnapshot) -> Iterator[Metric]:
    workers = figures.workers
    by_pid = sorted(workers.private_mb.items(), key=lambda entry: int(entry[0]))
    memory = {str(number): megabytes * MEGABYTE for number, (_, megabytes) in enumerate(by_pid, 1)}
    text = "Private memory of a worker; workers are numbered from 1."
    yield _gauges("vcpd_worker_memory_bytes", text, ("worker",), memory)
    yield _counters("vcpd_worker_tasks", "Tasks submitted to workers.", (), {(): workers.tasks})
    yield _counters(
        "vcpd_worker_restarts", "Worker executors replaced, by cause.", ("cause",), workers.restarts
    )
    yield _gauge("vcpd_worker_running", "Tasks that workers execute now.", workers.running)


def _store(figures: MetricsSnapshot) -> Iterator[Metric]:
    pool = {"in_use": figures.pool_in_use, "open": figures.pool_open}
    yield _gauges("vcpd_pool_connections", "Connections to the database, by state.", ("state",), pool)
    yield _gauge("vcpd_database_up", "1 while the database answers.", figures.database_up)
    yield _gauge("vcpd_database_ping_seconds", "Response time of the database.", figures.database_ping_s)
    yield _gauge(
        "vcpd_last_backup_timestamp_seconds",
        "Instant of the newest backup of the store.",
        figures.last_backup_s,
    )


def _alerts(figures: MetricsSnapshot) -> Iterator[Metric]:
    yield _counters(
        "vcpd_alert_attempts",
        "Alert messages, by channel and outcome.",
        ("channel", "outcome"),
        figures.alerts,
    )
    yield _gauge("vcpd_alerts_pending", "Pending alert deliveries.", figures.alerts_pending)
    yield _gauge(
        "vcpd_alerts_given_up", "Alert deliveries abandoned in the last day.", figures.alerts_given_up
    )


def _watch(figures: MetricsSnapshot) -> Iterator[Metric]:
    watch, feed = figures.watch, figures.watch.feed
    yield _gauge("vcpd_watch_running", "1 while the live watch runs.", watch.running)
    yield _gauge("vcpd_watch_candidates", "Bases followed by the live watch.", watch.candidates)
    yield _gauge("vcpd_watch_events", "Events of the live watch in this session.", watch.events)
    yield _gauge("vcpd_watch_price_age_seconds", "Time since the last tick.", watch.last_tick_age_s)
    yield _counters("vcpd_feed_ticks", "Ticks of the ticker WebSocket.", (), {(): feed.ticks})
    yield _counters(
        "vcpd_feed_garbage", "Undecodable frames of the ticker WebSocket.", (), {(): feed.garbage}
    )
    yield _counters("vcpd_feed_reconnects", "Ticker WebSocket reconnects.", (), {(): feed.reconnects})


def _gauge(name: str, text: str, value: float | None) -> Metric:
    """A gauge without labels; no sample while the value is unknown."""
    family = GaugeMetricFamily(name, text)
    if value is not None:
        family.add_metric([], value)
    return family


def _gauges(name: str, text: str, labels: tuple[str, ...], values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=labels)
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _counters(name: str, text: str, labels: tuple[str, ...], values: Mapping[Any, float]) -> Metric:
    """`values` by label, by labels, or by () where there are none."""
    family = CounterMetricFamily(name, text, labels=labels)
    for key, value in values.items():
        family.add_metric([key] if isinstance(key, str) else list(key), value)
    return family
