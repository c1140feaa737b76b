"""The vendor's limits: a true sliding second, nothing given away."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcpd.sandbox.rate_limit import RequestClass, RequestLimiter, request_class
from vcpd.sandbox.settings import RateSettings

RATES = RateSettings()
LIMITS: dict[RequestClass, int] = {"quote": 1, "historical": 3, "other": 10}
arrivals = st.lists(
    st.tuples(st.floats(0.0, 0.4), st.sampled_from(sorted(LIMITS)), st.booleans()), min_size=1, max_size=80
)


@given(arrivals)
@settings(max_examples=150, deadline=None)
def test_no_second_lets_more_through_than_its_limits(steps: list[tuple[float, RequestClass, bool]]) -> None:
    """Over any arrivals, each second ending at a request holds at most the limit of accepted ones."""
    traffic, now_s = RequestLimiter(RATES), 100.0
    accepted: list[tuple[float, RequestClass, bool]] = []
    for pause_s, kind, is_get in steps:
        now_s += pause_s
        recent = [past for past in accepted if past[0] > now_s - 1.0]
        own = sum(past[1] == kind for past in recent)
        gets = sum(past[2] for past in recent)
        capacity = own < LIMITS[kind] and (not is_get or gets < RATES.all_gets_per_s)
        assert traffic.admit(kind, is_get=is_get, now_s=now_s) == capacity
        if capacity:
            accepted.append((now_s, kind, is_get))


def test_the_window_slides() -> None:
    """A request exactly one second after another is a new second; a hair earlier is not."""
    traffic = RequestLimiter(RATES)
    assert traffic.admit("quote", is_get=True, now_s=5.0)
    assert not traffic.admit("quote", is_get=True, now_s=5.999)
    assert traffic.admit("quote", is_get=True, now_s=6.0)


def test_refused_requests_are_counted_as_arrivals() -> None:
    """Statistics tell what a client really sent: the busiest second, the refusals, the mean rate."""
    traffic = RequestLimiter(RATES)
    for step in range(5):
        traffic.admit("historical", is_get=True, now_s=1.0 + 0.1 * step)
    counts = traffic.statistics()["historical"]
    assert (counts["requests"], counts["refused"], counts["max_in_one_second"]) == (5, 2, 5)
    assert counts["rate_per_s"] == pytest.approx(10.0)
    assert traffic.statistics()["all_gets"]["requests"] == 5
    traffic.reset()
    assert traffic.statistics()["historical"]["requests"] == 0


def test_paths_belong_to_the_vendors_classes() -> None:
    """Quotes and candles have limits of their own, everything else shares one."""
    assert request_class("/quote") == request_class("/quote/ltp") == "quote"
    assert request_class("/instruments/historical/1/day") == "historical"
    assert request_class("/instruments/NSE") == request_class("/session/token") == "other"
