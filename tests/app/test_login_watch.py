"""A login makes up for what failed without it, wherever it was made."""

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from tests.schedule.virtual_time import run_virtually
from vcpd.app.background_tasks import DaemonTasks
from vcpd.domain.runs import RunCause
from vcpd.kite.auth import KiteLoginState, KiteLoginStatus
from vcpd.runtime.systemd import ServiceManager

DEAD = KiteLoginStatus(KiteLoginState.EXPIRED)
ALIVE = KiteLoginStatus(KiteLoginState.VALID, login_at=datetime(2026, 11, 23, tzinfo=UTC))


def watched(states: list[KiteLoginStatus]) -> int:
    """How often failed runs are made up for while the session goes through `states`, a second each."""
    asked = iter([*states, *[states[-1]] * 5])
    made_up: list[RunCause] = []
    market: Any = SimpleNamespace(session=SimpleNamespace(status=lambda: next(asked)))
    scheduler: Any = SimpleNamespace(retry_failed=made_up.append)
    monitor: Any = SimpleNamespace(changed=SimpleNamespace(set=lambda: None))
    rest: Any = None
    tasks = DaemonTasks(
        ServiceManager(None), rest, scheduler, monitor, rest, rest, market, rest, rest, rest, rest, rest
    )

    async def act() -> None:
        work = tasks._watch_login()
        task = asyncio.create_task(work)
        await asyncio.sleep(len(states) + 2)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run_virtually(act())
    assert set(made_up) <= {RunCause.LOGIN}
    return len(made_up)


def test_a_login_in_another_process_makes_up_for_what_failed() -> None:
    """The token that `vcpd login` wrote ends the wait of the failed runs, once."""
    assert watched([DEAD, DEAD, ALIVE, ALIVE]) == 1


def test_a_session_that_lives_on_or_stays_dead_makes_up_for_nothing() -> None:
    """Neither a token from before the start nor one that never comes is a login."""
    assert watched([ALIVE, ALIVE]) == 0
    assert watched([DEAD, DEAD]) == 0


def test_every_login_counts() -> None:
    """Each morning anew."""
    assert watched([DEAD, ALIVE, DEAD, ALIVE]) == 2
