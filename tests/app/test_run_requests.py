"""Which sessions a run may be started for by hand."""

from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from vcpd.app.services import Services
from vcpd.app.status import _require_session
from vcpd.core.errors import BadInputError
from vcpd.domain.nse_calendar import NSE

NOW = datetime(2025, 6, 30, 12, tzinfo=UTC)


def _services(first: str | None) -> Services:
    panel = None if first is None else SimpleNamespace(sessions=np.array([first, "2025-06-30"], "M8[D]"))
    return cast(
        "Services",
        SimpleNamespace(
            calendar=NSE,
            clock=SimpleNamespace(now=lambda: NOW),
            current_panel=SimpleNamespace(last_loaded=panel),
        ),
    )


@pytest.mark.parametrize(
    ("session", "first", "words"),
    [
        (date(1850, 1, 1), None, "too early"),
        (date(1850, 1, 1), "2010-01-04", "stored bars begin on 2010-01-04"),
        (date(2010, 1, 4), None, "begin on 2016-01-01"),
        (date(2025, 7, 1), None, "in the future"),
        (date(2025, 6, 29), None, "no session"),
    ],
)
def test_a_session_that_cannot_be_worked_for_is_refused(session: date, first: str | None, words: str) -> None:
    with pytest.raises(BadInputError, match=words):
        _require_session(_services(first), session)


@pytest.mark.parametrize(("session", "first"), [(date(2025, 6, 30), None), (date(2010, 1, 5), "2010-01-04")])
def test_a_session_of_the_calendar_or_of_stored_bars_is_taken(session: date, first: str | None) -> None:
    _require_session(_services(first), session)
