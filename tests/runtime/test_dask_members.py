"""Changes among a cluster's workers are counted once, in the progress line and in the log."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from vcpd.domain.runs import ClusterChanges, Progress
from vcpd.runtime.dask_members import ClusterMembers

FIRST, SECOND = "tcp://10.0.0.1:1", "tcp://10.0.0.2:1"


def event(action: str, worker: str, **further: Any) -> tuple[float, Any]:
    return 0.0, {"action": action, "worker": worker, **further}


@pytest.fixture
def members() -> ClusterMembers:
    followed = ClusterMembers()
    followed.begin([FIRST])
    return followed


def test_events_are_counted_while_a_run_computes_and_logged_always(members: ClusterMembers) -> None:
    progress = Progress()
    progress.begin(10, "computing")
    progress.cluster = ClusterChanges()
    with capture_logs() as lines:
        with members.counted_in(progress.cluster):
            assert progress.text == "computing, 1 Dask worker"
            members.on_event(event("add-worker", SECOND))
            members.on_event(event("remove-worker", FIRST, expected=False))
            members.on_event(event("remove-worker", SECOND, expected=True))
            members.on_event(event("close-client", SECOND))
            members.on_event((0.0, "no worker"))
        members.on_event(event("add-worker", FIRST))
    assert progress.text == "computing, 0 Dask workers, 1 died, 1 stopped, 1 joined"
    assert [(line["log_level"], line["event"], line["worker"], line["workers"]) for line in lines] == [
        ("info", "dask.worker_joined", SECOND, 2),
        ("warning", "dask.worker_died", FIRST, 1),
        ("info", "dask.worker_stopped", SECOND, 0),
        ("info", "dask.worker_joined", FIRST, 1),
    ]


def test_what_an_event_and_a_list_both_report_is_counted_once(members: ClusterMembers) -> None:
    changes = ClusterChanges()
    with members.counted_in(changes):
        members.compare([SECOND], members.n_events)
        members.on_event(event("remove-worker", FIRST, expected=False))
        members.on_event(event("add-worker", SECOND))
    assert (changes.workers, changes.died, changes.joined) == (1, 1, 1)


def test_a_list_that_is_older_than_an_event_changes_nothing(members: ClusterMembers) -> None:
    before = members.n_events
    members.on_event(event("add-worker", SECOND))
    members.compare([FIRST], before)
    assert members.addresses == {FIRST, SECOND}


def test_a_lost_scheduler_is_counted_and_its_workers_are_forgotten(members: ClusterMembers) -> None:
    changes = ClusterChanges()
    with members.counted_in(changes), capture_logs() as lines:
        members.lose_scheduler()
        assert changes.text == "0 Dask workers, scheduler lost 1 x"
        members.begin([SECOND])
    assert changes.text == "1 Dask worker, scheduler lost 1 x"
    assert [(line["event"], line["workers"]) for line in lines] == [
        ("dask.scheduler_lost", 1),
        ("dask.connected", 1),
    ]


def test_local_workers_that_compute_instead_are_named() -> None:
    progress = Progress()
    progress.cluster = ClusterChanges(is_local=True, died=2)
    assert progress.text == "local workers instead of Dask, 2 died"
