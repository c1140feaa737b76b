"""What the running daemon says of itself: /status, /readyz, and the questions only it can answer."""

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

import msgspec

from vcpd import __version__
from vcpd.analysis.crowding import Crowding
from vcpd.analysis.sizing import Sizing
from vcpd.app import performance
from vcpd.app.advice import crowd_setups, size_position
from vcpd.app.figures import figures_of
from vcpd.app.health import age_in_sessions, health_of
from vcpd.app.outlook import Outlook, sparks
from vcpd.app.parts import Parts
from vcpd.domain.bars import BarSeries
from vcpd.domain.errors import BadInputError, RetryableError
from vcpd.domain.figures import Figures
from vcpd.domain.health import Health
from vcpd.domain.panel import Panel
from vcpd.domain.setups import Setup
from vcpd.runtime.lifecycle import DaemonState
from vcpd.web.sources import SizeRequest

NEAREST_SHOWN: Final = 60  # of the candidates, on the page


class DaemonView:
    """Implements the web room's DaemonPort over the daemon's parts."""

    def __init__(self, parts: Callable[[], Parts]) -> None:
        self._parts = parts
        self._outlook = Outlook()
        self._started_s = parts().clock.monotonic_s()

    def status(self) -> Mapping[str, Any]:
        """The whole picture; every value is plain or a struct that JSON can show."""
        parts = self._parts()
        now = parts.clock.now()
        return {
            "version": __version__,
            "state": parts.lifecycle.state,
            "health": health_of(parts),
            "pid": os.getpid(),
            "market": parts.configuration.daemon.market,
            "simulated": parts.market.is_simulated,
            "now": now,
            "uptime_s": round(parts.clock.monotonic_s() - self._started_s, 1),
            "session": self._sessions(parts, now),
            "data": _data(parts, now),
            "login": parts.market.session.status(),
            "scheduling": parts.scheduler.is_leading,
            "watch": parts.watch.status(),
            "jobs": parts.scheduler.snapshot().jobs,
            "workers": parts.workers.snapshot(),
            "system": parts.system,
            "loop_lag": parts.lag.snapshot(),
            "configuration": parts.reloads,
            "alerts": _alerts(parts),
            "warnings": [
                warning for warning in [parts.calendar.warning(parts.calendar.local_date(now))] if warning
            ],
        }

    def readiness(self) -> tuple[bool, Mapping[str, str]]:
        parts = self._parts()
        now = parts.clock.now()
        age = age_in_sessions(parts, now)
        login = parts.market.session.status()
        conditions = {
            "state": parts.lifecycle.state.value,
            "data": "no bars yet" if age is None else f"{age} sessions old",
            "login": "due: " + login.reason if login.login_due else "valid",
        }
        fresh = age is not None and age <= 1
        return parts.lifecycle.state is DaemonState.READY and fresh, conditions

    def health(self) -> Health:
        return health_of(self._parts())

    def figures(self) -> Figures:
        parts = self._parts()
        return figures_of(parts, parts.clock.monotonic_s() - self._started_s)

    async def performance(self, picture: str) -> Any:
        answer = performance.PICTURES[picture](self._parts())
        return await answer if inspect.isawaitable(answer) else answer

    async def optimize(self) -> Any:
        return await performance.optimize(self._parts())

    def alive(self) -> bool:
        return not self._parts().heartbeats.late()

    def jobs(self) -> Any:
        return self._parts().scheduler.snapshot().jobs

    async def run_job(self, name: str, session: date | None) -> int:
        parts = self._parts()
        if session is not None:
            _require_session(parts, session)
        return await parts.scheduler.run_now(name, session)

    async def set_paused(self, name: str, *, paused: bool) -> None:
        scheduler = self._parts().scheduler
        await (scheduler.pause(name) if paused else scheduler.resume(name))

    async def size(self, request: SizeRequest) -> Sizing:
        return await size_position(self._parts(), request)

    async def crowding(self) -> Crowding:
        return await crowd_setups(self._parts())

    async def breadth(self) -> Any:
        return await self._outlook.breadth(self._parts())

    async def sparks(self, symbols: Sequence[str]) -> Mapping[str, Sequence[int]]:
        return await sparks(self._parts(), symbols)

    def watch(self) -> Mapping[str, Any]:
        """The live watch: how it sees, and every candidate as it stands."""
        watch = self._parts().watch
        return {"status": watch.status(), "items": watch.watched()}

    def pulse(self) -> Mapping[str, Any]:
        parts = self._parts()
        return {
            "state": parts.lifecycle.state,
            "health": health_of(parts),
            "data": _data(parts, parts.clock.now()),
            "login_due": parts.market.session.status().login_due,
            "jobs": parts.scheduler.snapshot().jobs,
            "watch": _live(parts),
        }

    async def explain(self, symbol: str, as_of: date | None) -> tuple[Setup, list[str]]:
        parts = self._parts()
        thresholds = parts.configuration.screen
        setup, lines = await parts.current_panel.explain(
            parts.workers,
            symbol,
            as_of,
            thresholds,
            elapsed=lambda session: parts.calendar.elapsed_share(session, parts.clock.now()),
        )
        sector = await parts.storage.instruments.sector_of(symbol)
        return msgspec.structs.replace(setup, sector=sector), lines

    async def bars(self, symbol: str) -> BarSeries:
        parts = self._parts()
        for one in await parts.storage.instruments.all():
            if one.symbol == symbol:
                return BarSeries(symbol, (await parts.storage.bars.series(one.id)).records)
        raise KeyError(symbol)

    @staticmethod
    def _sessions(parts: Parts, now: datetime) -> Mapping[str, date | None]:
        return {
            "last": parts.calendar.last_session_at(now),
            "running": parts.calendar.running_session_at(now),
        }


def _live(parts: Parts) -> Mapping[str, Any] | None:
    """The running session for open pages: the candidates nearest to their pivots. None while none runs."""
    status = parts.watch.status()
    if not status.running:
        return None
    return {
        "source": status.source,
        "candidates": status.candidates,
        "events": status.events,
        "items": parts.watch.watched(NEAREST_SHOWN),
    }


def _require_session(parts: Parts, session: date) -> None:
    """BadInputError for a day without trading, or one that has not come yet."""
    closed = parts.calendar.closed_because(session)
    if closed is not None:
        raise BadInputError(f"{session} is no session: {closed}")
    if session > parts.calendar.local_date(parts.clock.now()):
        raise BadInputError(f"{session} has not come yet")


def _data(parts: Parts, now: datetime) -> Mapping[str, Any]:
    panel = parts.current_panel.last_seen
    if panel is None:
        return {"as_of": None, "age_sessions": None, "symbols": 0, "sessions": 0, "excluded": 0}
    return {
        "as_of": _last_session(panel),
        "age_sessions": age_in_sessions(parts, now),
        "symbols": len(panel.symbols),
        "sessions": len(panel.sessions),
        "excluded": len(panel.exclusions),
    }


def _alerts(parts: Parts) -> Mapping[str, Any]:
    plan, outbox = parts.alerts.plan, parts.vitals.outbox
    return {
        "channels": [line.channel.name for line in plan.open_lines],
        "missing": plan.missing,
        "pending": outbox.pending,
        "given_up": outbox.given_up,
    }


def _last_session(panel: Panel) -> date | None:
    last: date | None = panel.sessions[-1].item() if len(panel.sessions) else None
    return last


async def look_at_panel(parts: Parts) -> None:
    """Have the view know the newest snapshot; nothing when there is none yet."""
    try:
        await parts.current_panel.look()
    except RetryableError:
        return
