"""The daemon's states: only what the table says, and every state can be left in good order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcpd.runtime.lifecycle import TRANSITIONS, DaemonState, IllegalTransitionError, Lifecycle, LifecycleEvent


def test_a_whole_lifecycle_reaches_the_listeners() -> None:
    received: list[tuple[str, str]] = []
    lifecycle = Lifecycle(lambda before, trigger, after: received.append((trigger, after)))
    for trigger in ("start", "started", "reload", "reloaded", "stop", "stopped"):
        lifecycle.fire(LifecycleEvent(trigger))
    assert [state for _, state in received] == [
        "starting",
        "ready",
        "reloading",
        "ready",
        "stopping",
        "stopped",
    ]


def test_an_illegal_trigger_states_what_was_expected_and_changes_nothing() -> None:
    lifecycle = Lifecycle()
    with pytest.raises(IllegalTransitionError, match="in state new expected start, was reload"):
        lifecycle.fire(LifecycleEvent.RELOAD)
    assert lifecycle.state is DaemonState.NEW


@given(st.lists(st.sampled_from(LifecycleEvent), max_size=12))
def test_whatever_happens_the_state_follows_the_table(triggers: list[LifecycleEvent]) -> None:
    lifecycle = Lifecycle()
    for trigger in triggers:
        before = lifecycle.state
        if lifecycle.allows(trigger):
            assert lifecycle.fire(trigger) is TRANSITIONS[before, trigger]
        else:
            with pytest.raises(IllegalTransitionError):
                lifecycle.fire(trigger)
            assert lifecycle.state is before


def test_every_state_on_the_way_can_stop() -> None:
    stoppable = {state for state, trigger in TRANSITIONS if trigger is LifecycleEvent.STOP}
    assert stoppable == set(DaemonState) - {DaemonState.NEW, DaemonState.STOPPING, DaemonState.STOPPED}
