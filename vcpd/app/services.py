"""Running services of the daemon, for status queries and configuration reload."""

from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from vcpd.alerts.service import AlertService
from vcpd.app.alert_channels import ChannelFactory
from vcpd.app.market import MarketConnection
from vcpd.app.monitor import Monitor
from vcpd.app.panels import PanelReader, UniversePanelStore
from vcpd.app.storage import Storage
from vcpd.config import Configuration
from vcpd.domain.calendar import TradingCalendar
from vcpd.jobs.watch import Watch
from vcpd.ports import Clock
from vcpd.runtime.lifecycle import Lifecycle
from vcpd.runtime.logs import Redactor
from vcpd.runtime.resources import LoopLag, ResourceSnapshot
from vcpd.runtime.systemd import Heartbeats
from vcpd.runtime.worker_pool import WorkerPool
from vcpd.schedule.scheduler import Scheduler


class ReloadStatus(msgspec.Struct, frozen=True):
    """What became of the configuration since the start."""

    path: str
    loaded_at: datetime
    reloads: int = 0
    refused: tuple[str, ...] = ()  # why the last reload changed nothing
    needs_restart: tuple[str, ...] = ()  # sections that changed but cannot change live


@dataclass(slots=True)
class Services:
    """The daemon's parts; only the daemon itself exchanges them."""

    configuration: Configuration
    reloads: ReloadStatus
    clock: Clock
    calendar: TradingCalendar
    storage: Storage
    market: MarketConnection
    workers: WorkerPool
    panels: UniversePanelStore
    current_panel: PanelReader
    scheduler: Scheduler
    watch: Watch
    lifecycle: Lifecycle
    heartbeats: Heartbeats
    monitor: Monitor
    channels: ChannelFactory
    alerts: AlertService
    redactor: Redactor
    lag: LoopLag = field(default_factory=LoopLag)
    system: ResourceSnapshot | None = None
