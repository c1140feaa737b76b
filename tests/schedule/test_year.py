"""Months of the default day with kills, suspends, clock steps and reloads: every run exactly once."""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from tests.fakes.runs import RunTable
from tests.schedule.sample_daemon import Daemon
from tests.schedule.virtual_time import LoopClock, run_virtually
from vcpd.domain.nse_calendar import NSE
from vcpd.domain.runs import Outcome
from vcpd.schedule.default_policies import default_policies
from vcpd.schedule.policy import ScheduleSettings
from vcpd.schedule.trigger import Tick, Trigger

POLICIES = default_policies()
TAKES_S = {"collect": 900.0, "reconcile": 300.0, "screen": 240.0, "risk": 120.0, "instruments": 20.0}


def ist(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+05:30")


@dataclass
class History:
    """What was done to the daemon: the times in which it could not know the time."""

    first: datetime
    last: datetime
    table: RunTable
    began: Counter[tuple[str, datetime]] = field(default_factory=Counter)
    blind: list[tuple[datetime, datetime]] = field(default_factory=list)

    def was_blind(self, start: datetime, end: datetime) -> bool:
        return any(begin <= end and start <= until for begin, until in self.blind)


class Mischief:
    """Does something to the daemon at random moments."""

    def __init__(self, clock: LoopClock, history: History, seed: int) -> None:
        self.clock = clock
        self.history = history
        self.chance = random.Random(seed)
        self.daemon = self._born()

    def _born(self) -> Daemon:
        daemon = Daemon(self.clock, self.history.table, POLICIES)
        daemon.work.takes_s = TAKES_S
        return daemon.start()

    async def _kill(self) -> None:
        await self._replace(self.daemon.kill())

    async def _stop(self) -> None:
        await self._replace(self.daemon.stop(deadline_s=self.chance.choice([1.0, 1200.0])))

    async def _replace(self, ending: object) -> None:
        start = self.clock.now()
        await ending  # type: ignore[misc]
        await self.clock.sleep(self.chance.choice([1.0, 30.0, 600.0, 6 * 3600.0, 15 * 3600.0]))
        self.daemon = self._born()
        self.history.blind.append((start, self.clock.now()))

    async def _suspend(self) -> None:
        start = self.clock.now()
        self.clock.step(timedelta(minutes=self.chance.choice([1, 20, 300, 1000])))
        self.history.blind.append((start, self.clock.now()))

    async def _clock_step(self) -> None:
        start = self.clock.now()
        self.clock.step(timedelta(seconds=self.chance.choice([-1200, -59, -2, 2, 45])))
        self.history.blind.append((min(start, self.clock.now()), max(start, self.clock.now())))

    async def _reload(self) -> None:
        for _ in range(5):
            self.daemon.scheduler.reload(self.daemon.jobs(POLICIES), ScheduleSettings())
            await self.clock.sleep(self.chance.uniform(0, 20))

    async def go_on(self, until: datetime, mean_pause_h: float) -> None:
        acts = [self._kill, self._stop, self._suspend, self._clock_step, self._reload, self._reload]
        while self.clock.now() < until:
            await self.clock.sleep(self.chance.expovariate(1 / (mean_pause_h * 3600)))
            await self.chance.choice(acts)()
        await self.clock.sleep(2 * 86_400)
        await self.daemon.stop()


def simulate(first: str, days: int, seed: int, mean_pause_h: float) -> History:
    start = ist(first)
    history = History(start, start + timedelta(days=days), RunTable())

    async def act() -> None:
        clock = LoopClock(start)
        mischief = Mischief(clock, history, seed)
        await mischief.go_on(history.last, mean_pause_h)
        assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("run ")]

    run_virtually(act())
    return history


def expected(history: History) -> list[tuple[str, Tick]]:
    return [
        (name, tick)
        for name, policy in POLICIES.items()
        for tick in Trigger.of(policy, NSE, NSE.time_zone).between(history.first, history.last)
    ]


def judge(history: History) -> None:
    """Each tick has its one row; undisturbed ones went well; what was cut short was made up for.

    Before a job's first row nobody can know that it was ever meant to run.
    """
    rows = history.table.rows
    first_row = {
        name: min((at for job, at in rows if job == name), default=history.last) for name in POLICIES
    }
    ticks = [(name, tick) for name, tick in expected(history) if tick.scheduled_at >= first_row[name]]
    assert len(ticks) > 100
    lost = [(name, tick) for name, tick in ticks if (name, tick.scheduled_at) not in rows]
    assert lost == []
    scheduled = {(name, tick.scheduled_at) for name, tick in ticks}
    strange = [
        run
        for (name, at), run in rows.items()
        if run.is_scheduled
        and history.first < at
        and first_row[name] <= at <= history.last
        and (name, at) not in scheduled
    ]
    assert strange == []
    for name, tick in ticks:
        _judge_run(history, name, tick)


def _judge_run(history: History, name: str, tick: Tick) -> None:
    run = history.table.rows[name, tick.scheduled_at]
    begin, end = run.started_at or tick.scheduled_at, run.finished_at or tick.scheduled_at
    disturbed = history.was_blind(min(begin, tick.scheduled_at), max(end, tick.scheduled_at))
    if not disturbed and POLICIES[name].catch_up == "latest":
        assert run.outcome is Outcome.DONE, run
    if run.outcome in (Outcome.FAILED, Outcome.CANCELLED) and POLICIES[name].catch_up == "latest":
        later = [other for other in history.table.of(name) if other.scheduled_at > run.scheduled_at]
        made_up = [entry for entry in later if entry.session == run.session and entry.outcome is Outcome.DONE]
        newer = [entry for entry in later if entry.session and run.session and entry.session > run.session]
        assert made_up or newer, f"{run} was never made up for"
    assert run.outcome is not None, "nothing stays open"


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_rough_month_has_every_run_exactly_once(seed: int) -> None:
    """Something happens to the daemon every five hours."""
    judge(simulate("2026-08-20T07:00", 31, seed, mean_pause_h=5.0))


@pytest.mark.parametrize("days", [92, pytest.param(365, marks=pytest.mark.long)], ids=["a quarter", "a year"])
def test_a_long_time_has_every_run_exactly_once(days: int) -> None:
    """The default day from October 2025 on, with special sessions and something every other day."""
    history = simulate("2025-10-01T07:00", days, 11, mean_pause_h=40.0)
    judge(history)
    done = Counter(run.job for run in history.table.rows.values() if run.outcome is Outcome.DONE)
    sessions = len(NSE.sessions(history.first.date(), history.last.date()))
    assert done["collect"] > 1.9 * sessions * 0.9
    assert done["risk"] > 0.95 * sessions
