"""What the window promises, in simulated time."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from vcpd.kite.rate_limits import MAX_LATENESS_ALLOWANCE_S, ArrivalWindow, InFlightRequest, RoundTrips

EPSILON_S = 1e-9


def _arrivals(rate: float, margin_pct: float, trips_s: list[tuple[float, float]]) -> list[float]:
    """Arrival times of requests sent as early as the window lets them, by (way there, way back)."""
    window, seen = ArrivalWindow(rate, margin_pct, 1.0), RoundTrips()
    under_way: list[InFlightRequest] = []
    now_s, arrivals = 100.0, []
    back_s: dict[int, float] = {}
    for there_s, home_s in trips_s:
        asked_s = now_s
        while True:
            for passage in list(under_way):
                if back_s[id(passage)] <= now_s:
                    passage.closed_s = back_s[id(passage)]
                    seen.add(passage.closed_s - passage.sent_s)
                    under_way.remove(passage)
            earliest_s = window.earliest_s(now_s, seen.fastest_s())
            if earliest_s <= now_s:
                break
            now_s = max(now_s + 1e-6, earliest_s)
        window.charge_lateness(asked_s, now_s)
        passage = InFlightRequest(now_s)
        window.record_request(passage)
        under_way.append(passage)
        back_s[id(passage)] = now_s + there_s + home_s
        arrivals.append(now_s + there_s)
    return arrivals


def most_in_a_window(arrivals_s: list[float], length_s: float = 1.0) -> int:
    """The largest count in any half-open window of `length_s`."""
    ordered = sorted(arrivals_s)
    return max(sum(1 for other in ordered if 0 <= other - value < length_s) for value in ordered)


@given(st.integers(1, 12), st.lists(st.floats(0.0, 0.009), min_size=1, max_size=60))
@settings(max_examples=60, deadline=None)
def test_a_line_whose_delay_varies_less_than_the_margin_never_breaks_the_limit(
    rate: int, ways_s: list[float]
) -> None:
    """10 ms of margin answer for 9 ms of jitter, whatever the order."""
    arrivals = _arrivals(rate, 1.0, [(0.02 + way_s, 0.02) for way_s in ways_s])
    assert most_in_a_window(arrivals) <= rate


@given(st.integers(1, 12), st.integers(0, 20), st.floats(0.01, MAX_LATENESS_ALLOWANCE_S - 0.05))
@settings(max_examples=60, deadline=None)
def test_one_late_request_is_waited_for(rate: int, late: int, delay_s: float) -> None:
    """A stall or a cold connection shifts one arrival; those behind it leave room."""
    trips = [(0.02, 0.02)] * 40
    trips[late] = (0.02 + delay_s, 0.02)
    assert most_in_a_window(_arrivals(rate, 1.0, trips)) <= rate


@given(st.integers(1, 12), st.floats(0.02, 0.9))
@settings(max_examples=30, deadline=None)
def test_a_slow_exchange_does_not_take_the_rate(rate: int, service_s: float) -> None:
    """Answers that take long for other reasons than the line cost at most the allowance."""
    trips = [(0.01, 0.01 + (service_s if number % 2 else 0.0)) for number in range(40 * rate)]
    arrivals = sorted(_arrivals(rate, 1.0, trips))
    achieved = (len(arrivals) - rate) / (arrivals[-1] - arrivals[rate - 1])
    assert achieved >= 0.965 * rate


@given(st.floats(0.2, 900), st.integers(2, 50))
@settings(max_examples=60, deadline=None)
def test_any_rate_is_kept_over_its_own_window(rate: float, count: int) -> None:
    """2.5 a second means two in 0.8 s, 0.5 a second means one in two."""
    arrivals = _arrivals(rate, 0.0, [(0.0, 0.0)] * count)
    size = max(1, int(rate))
    gaps = [later - earlier for earlier, later in zip(arrivals, arrivals[size:], strict=False)]
    assert all(gap >= size / rate - EPSILON_S for gap in gaps)
    assert all(later >= earlier for earlier, later in pairwise(arrivals))


def test_a_narrower_limit_counts_what_was_sent_before() -> None:
    """Ten sends under the old limit leave no room for an eleventh under the new one."""
    window = ArrivalWindow(10, 0.0, 0.0)
    for number in range(10):
        passage = InFlightRequest(number * 0.1)
        passage.closed_s = number * 0.1
        window.record_request(passage)
    window.configure(3, 0.0, 0.0)
    assert abs(window.earliest_s(0.95, 0.0) - 1.7) < EPSILON_S
