"""Runs on their way: those that wait, those that are active, and what they mean to one another."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from typing import Final

from vcpd.domain.errors import UnavailableError
from vcpd.domain.runs import Outcome
from vcpd.schedule.admission import Circumstances, Decision, decide
from vcpd.schedule.history import RunHistory
from vcpd.schedule.trigger import Tick
from vcpd.schedule.work import Active, Cause, Line, Waiting

DEAF_AFTER_S: Final = 240.0  # of real time; a statement that a dead connection holds ends in half of it


class Yard:
    """Waiting and active runs of all lines. Decides nothing about time: that is the scheduler's."""

    def __init__(self, history: RunHistory) -> None:
        self.history = history
        self.waiting: list[Waiting] = []
        self.active: list[Active] = []
        self.changed = False  # since the scheduler last asked what that releases
        self._announced: list[str] = []

    def is_busy(self, name: str) -> bool:
        """Whether a run of the job waits or is active, or its row is being written."""
        waits = name in self._announced or any(one.name == name for one in self.waiting)
        return waits or self.active_run(name) is not None

    @contextmanager
    def announced(self, name: str) -> Iterator[None]:
        """While a row is written for a run that an owner asked for."""
        self._announced.append(name)
        try:
            yield
        finally:
            self._announced.remove(name)

    def check_endings(self) -> None:
        """UnavailableError for a run at work long after it was told to end: it keeps others out for ever."""
        now_s = asyncio.get_running_loop().time()
        for active in self.active:
            if active.ending is None or not active.performing:
                continue
            active.told_s = now_s if active.told_s is None else active.told_s
            if now_s - active.told_s > DEAF_AFTER_S:
                raise UnavailableError(
                    f"{active.name} does not end although told to ({active.ending[1]}): start vcpd anew"
                )

    def knows(self, name: str, tick: Tick) -> bool:
        """Whether this very tick has had its run, or has one on its way: clocks may be set back."""
        on_its_way = any(one.tick == tick for one in self._on_their_way(name))
        return on_its_way or self.history.knows(name, tick.scheduled_at)

    def swallows(self, name: str, tick: Tick) -> bool:
        """Whether the run on its way stands for `tick` too: making up for an older session does not."""
        made_up = (Cause.CATCH_UP, Cause.RETRY)
        return any(
            one.cause not in made_up or one.tick.session >= tick.session for one in self._on_their_way(name)
        )

    def active_run(self, name: str) -> Active | None:
        return next((one for one in self.active if one.name == name), None)

    def in_order(self, lines: Mapping[str, Line]) -> list[Waiting]:
        """Waiting runs, the one that should go first first."""
        known = (one for one in self.waiting if one.name in lines)
        return sorted(known, key=lambda one: (lines[one.name].policy.priority, one.tick.scheduled_at))

    def has_heavy_waiting(self, lines: Mapping[str, Line]) -> bool:
        return any(lines[one.name].policy.heavy for one in self.waiting if one.name in lines)

    def judge(
        self, waiting: Waiting, lines: Mapping[str, Line], pressure: str | None, now: datetime
    ) -> Decision:
        """Whether `waiting` may start at `now`."""
        policy = lines[waiting.name].policy
        by_hand = waiting.cause is Cause.BY_HAND
        around = Circumstances(
            now=now,
            deadline=waiting.deadline,
            ahead=() if by_hand else self._ahead(waiting, lines),
            trouble=None if by_hand else self._trouble(waiting, lines),
            own_run_active=self.active_run(waiting.name) is not None,
            heavy_active=next((one.name for one in self.active if one.job.policy.heavy), None),
            pressure=pressure,
        )
        return decide(policy, around)

    def released(self, line: Line, lines: Mapping[str, Line]) -> Tick | None:
        """The line's coming tick, when all that it runs after is done for that session."""
        tick = line.next_tick
        if tick is None or not line.policy.after or any(map(self.is_busy, line.policy.after)):
            return None
        awaited = list(_awaited(line, lines, tick.session, tick.scheduled_at))
        done = all(self.history.is_done(name, tick.session, since) for name, since in awaited)
        return tick if awaited and done else None

    def drop_waiting(self, name: str) -> list[Waiting]:
        dropped = [one for one in self.waiting if one.name == name]
        self.waiting = [one for one in self.waiting if one.name != name]
        return dropped

    def end_all(self, reason: str) -> None:
        for active in self.active:
            active.cancel(Outcome.CANCELLED, reason)

    def end_lasting(self, reason: str) -> None:
        """End what would go on as long as its session does."""
        for active in self.active:
            if active.job.lasting:
                active.cancel(Outcome.CANCELLED, reason)

    def _on_their_way(self, name: str) -> list[Waiting]:
        everyone = (*self.waiting, *(one.waiting for one in self.active))
        return [one for one in everyone if one.name == name]

    def _ahead(self, waiting: Waiting, lines: Mapping[str, Line]) -> tuple[str, ...]:
        policy = lines[waiting.name].policy
        return tuple(name for name in (*policy.after, *policy.behind) if self.is_busy(name))

    def _trouble(self, waiting: Waiting, lines: Mapping[str, Line]) -> str | None:
        session, until = waiting.tick.session, waiting.tick.scheduled_at
        for name, since in _awaited(lines[waiting.name], lines, session, until):
            if trouble := self.history.trouble(name, session, since):
                return trouble
        return None


def _awaited(
    line: Line, lines: Mapping[str, Line], session: date, until: datetime
) -> Iterator[tuple[str, datetime]]:
    """The jobs that `line` runs after, with their last tick for the session up to `until`."""
    for name in line.policy.after:
        tick = lines[name].trigger.last_for_session(session, until) if name in lines else None
        if tick is not None:
            yield name, tick.scheduled_at
