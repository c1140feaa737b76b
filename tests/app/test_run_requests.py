"""Which sessions a run may be started for by hand."""

from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from vcpd.app.status import StatusService
from vcpd.core.errors import BadInputError
from vcpd.domain.nse_calendar import NSE

NOW = datetime(2025, 6, 30, 12, tzinfo=UTC)


async def run_job(session: date, first: str | None) -> int:
    """Ask for a run of a daemon whose bars begin on `first`, None: it has none."""
    panel = None if first is None else SimpleNamespace(sessions=np.array([first, "2025-06-30"], "M8[D]"))
    live: Any = SimpleNamespace(calendar=NSE)
    clock: Any = SimpleNamespace(now=lambda: NOW)
    scheduler: Any = SimpleNamespace(run_now=_started)
    reader: Any = SimpleNamespace(last_loaded=panel)
    x: Any = None
    service = StatusService(live, clock, x, x, scheduler, x, x, x, x, x, x, x, x, reader, x, x, 0.0)
    return await service.run_job("collect", session)


async def _started(_name: str, _session: date) -> int:
    return 7


@pytest.mark.parametrize(
    ("session", "first", "words"),
    [
        (date(1850, 1, 1), None, "too early"),
        (date(1850, 1, 1), "2010-01-04", "stored bars begin on 2010-01-04"),
        (date(2010, 1, 4), None, "begin on 2016-01-01"),
        (date(2025, 7, 1), None, "in the future"),
        (date(2025, 6, 29), None, "not a session"),
    ],
)
async def test_a_session_that_cannot_be_worked_for_is_refused(
    session: date, first: str | None, words: str
) -> None:
    with pytest.raises(BadInputError, match=words):
        await run_job(session, first)


@pytest.mark.parametrize(("session", "first"), [(date(2025, 6, 30), None), (date(2010, 1, 5), "2010-01-04")])
async def test_a_session_of_the_calendar_or_of_stored_bars_is_taken(session: date, first: str | None) -> None:
    assert await run_job(session, first) == 7
