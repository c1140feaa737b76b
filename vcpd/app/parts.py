"""Everything a started daemon consists of, in one place for those who ask and those who reload."""

from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from vcpd.alerts.deliverer import Deliverer
from vcpd.app.channels import Channels
from vcpd.app.market import Market
from vcpd.app.panels import CurrentPanel, UniversePanels
from vcpd.app.storage import Storage
from vcpd.app.vitals import Vitals
from vcpd.config import Configuration
from vcpd.domain.sessions import TradingCalendar
from vcpd.jobs.watch import Watch
from vcpd.ports import Clock
from vcpd.runtime.heartbeats import Heartbeats
from vcpd.runtime.lag import LoopLag
from vcpd.runtime.lifecycle import Lifecycle
from vcpd.runtime.masking import Masker
from vcpd.runtime.system import SystemSnapshot
from vcpd.runtime.workers import WorkerPool
from vcpd.schedule.scheduler import Scheduler


class Reloads(msgspec.Struct, frozen=True):
    """What became of the configuration since the start."""

    path: str
    loaded_at: datetime
    reloads: int = 0
    refused: tuple[str, ...] = ()  # why the last reload changed nothing
    needs_restart: tuple[str, ...] = ()  # sections that changed but cannot change live


@dataclass(slots=True)
class Parts:
    """The daemon's parts; only the daemon itself exchanges them."""

    configuration: Configuration
    reloads: Reloads
    clock: Clock
    calendar: TradingCalendar
    storage: Storage
    market: Market
    workers: WorkerPool
    panels: UniversePanels
    current_panel: CurrentPanel
    scheduler: Scheduler
    watch: Watch
    lifecycle: Lifecycle
    heartbeats: Heartbeats
    vitals: Vitals
    channels: Channels
    alerts: Deliverer
    masker: Masker
    lag: LoopLag = field(default_factory=LoopLag)
    system: SystemSnapshot | None = None
