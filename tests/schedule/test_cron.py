"""Cron expressions against cronsim (Debian's semantics) and against a change of clocks."""

from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim, CronSimError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vcpd.schedule.cron import CronError, CronExpression

ZONES = [ZoneInfo(name) for name in ("UTC", "Asia/Kolkata", "Europe/Riga", "America/New_York")]
# The evenings before clocks change in Riga and New York, and an ordinary one.
EVENINGS = [(3, 7), (3, 28), (10, 24), (10, 31), (1, 1)]


def terms(low: int, high: int, names: list[str], extra: list[str]) -> st.SearchStrategy[str]:
    value = st.integers(low, high).map(str)
    named = st.sampled_from(names) if names else value
    pair = st.tuples(st.integers(low, high), st.integers(low, high)).map(sorted)
    span = pair.map(lambda ends: f"{ends[0]}-{ends[1]}")
    step = st.integers(1, max(2, high // 2)).map(str)
    choices = [
        st.just("*"),
        value,
        named,
        span,
        st.tuples(st.one_of(st.just("*"), value, span), step).map("/".join),
    ]
    return st.one_of(*choices, *([st.sampled_from(extra)] if extra else []))


def fields(
    low: int, high: int, names: list[str] | None = None, extra: list[str] | None = None
) -> st.SearchStrategy[str]:
    return st.lists(terms(low, high, names or [], extra or []), min_size=1, max_size=3).map(",".join)


EXPRESSIONS = st.tuples(
    fields(0, 59),
    fields(0, 23),
    fields(1, 31, extra=["L", "LW"]),
    fields(1, 12, names=["JAN", "jun", "Dec"]),
    fields(0, 7, names=["MON", "sun"], extra=["5L", "7L", "1#2", "MON#5", "0#1"]),
).map(" ".join)


def exists(start: datetime) -> bool:
    zone = start.tzinfo
    return start.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == start.replace(tzinfo=None)


@settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(EXPRESSIONS, st.sampled_from(ZONES), st.sampled_from(EVENINGS), st.integers(0, 900 * 60))
def test_equals_cronsim_in_both_directions(
    expression: str, zone: ZoneInfo, evening: tuple[int, int], seconds: int
) -> None:
    """Six instants forward and back are cronsim's, around changes of clocks, in four zones."""
    start = datetime(2026, *evening, 19, tzinfo=zone) + timedelta(seconds=seconds)
    if not exists(start):
        start += timedelta(hours=1)
    try:
        reference = [at.astimezone(UTC) for at in islice(CronSim(expression, start), 6)]
    except CronSimError:
        reference = []
    if not reference:
        with pytest.raises(CronError, match="never fires"):
            CronExpression.parse(expression)
        return
    ours = CronExpression.parse(expression)
    back = [at.astimezone(UTC) for at in islice(CronSim(expression, start, reverse=True), 6)]
    assert list(islice(ours.after(start, zone), 6)) == reference
    assert list(islice(ours.before(start, zone), 6)) == back


def local_instants(expression: str, zone: str, start: str, n: int) -> list[str]:
    there = ZoneInfo(zone)
    first = datetime.fromisoformat(start).replace(tzinfo=there)
    found = islice(CronExpression.parse(expression).after(first, there), n)
    return [at.astimezone(there).isoformat(timespec="minutes") for at in found]


def test_a_skipped_hour_fires_once_right_after_the_gap() -> None:
    """02:30 does not exist on 2026-03-08 in New York: 03:00 stands for it, once."""
    assert local_instants("30 2 * * *", "America/New_York", "2026-03-07T12:00", 2) == [
        "2026-03-08T03:00-04:00",
        "2026-03-09T02:30-04:00",
    ]
    assert local_instants("0,20,40 2 * * *", "America/New_York", "2026-03-08T01:00", 2) == [
        "2026-03-08T03:00-04:00",
        "2026-03-09T02:00-04:00",
    ]


def test_a_repeated_hour_fires_once() -> None:
    """01:30 comes twice on 2026-11-01 in New York: the first counts."""
    assert local_instants("30 1 * * *", "America/New_York", "2026-10-31T12:00", 2) == [
        "2026-11-01T01:30-04:00",
        "2026-11-02T01:30-05:00",
    ]


def test_a_field_that_begins_with_a_star_follows_real_time() -> None:
    """Every half hour stays every half hour of real time through the repeated hour."""
    assert local_instants("*/30 * * * *", "America/New_York", "2026-11-01T00:45", 4) == [
        "2026-11-01T01:00-04:00",
        "2026-11-01T01:30-04:00",
        "2026-11-01T01:00-05:00",
        "2026-11-01T01:30-05:00",
    ]


def test_words_stand_for_expressions() -> None:
    """@daily is midnight, in any case of letters."""
    assert local_instants("@Daily", "Asia/Kolkata", "2026-11-20T12:00", 1) == ["2026-11-21T00:00+05:30"]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("60 * * * *", r"field 1 \(minute\): expected 0-59, was '60'"),
        ("* 24 * * *", r"field 2 \(hour\): expected 0-23, was '24'"),
        ("* * 0 * *", r"field 3 \(day of month\): expected 1-31, was '0'"),
        ("* * * FOO *", r"field 4 \(month\): expected 1-12 or a name such as JAN, was 'FOO'"),
        ("* * * * 8", r"field 5 \(day of week\)"),
        ("* * * * 1#6", r"field 5 \(day of week\): expected 1-5 after `#`"),
        ("*/0 * * * *", r"field 1 \(minute\): expected a step"),
        ("5-1 * * * *", r"field 1 \(minute\): expected a range that ascends"),
        ("1,,2 * * * *", r"field 1 \(minute\): expected a value between the commas"),
        ("* * * *", "expected 5 fields .* was 4"),
        ("* * * * * *", "expected 5 fields .* was 6"),
        ("@often", "expected one of @yearly"),
        ("0 0 30 2 *", "never fires"),
        ("²  * * * *", r"field 1 \(minute\)"),
    ],
)
def test_an_error_names_the_field_and_its_position(expression: str, message: str) -> None:
    """Whoever reads the error knows what to change."""
    with pytest.raises(CronError, match=message):
        CronExpression.parse(expression)


def test_the_trap_of_the_two_day_fields_is_warned_of() -> None:
    """Either of two restricted day fields is enough, unless one begins with a star; both surprise."""
    assert "either one is enough" in CronExpression.parse("0 0 13 * FRI").warnings()[0]
    assert "both must match" in CronExpression.parse("0 0 */2 * FRI").warnings()[0]
    assert CronExpression.parse("0 0 13 * *").warnings() == ()
    assert CronExpression.parse("0 0 * * FRI").warnings() == ()


@given(EXPRESSIONS)
@settings(max_examples=100, deadline=None)
def test_forward_and_back_are_the_same_instants(expression: str) -> None:
    """What comes after A and before B is the same list from either end."""
    try:
        parsed = CronExpression.parse(expression)
    except CronError:
        return
    zone = ZONES[2]
    first = datetime(2026, 3, 28, 12, tzinfo=UTC)
    forward = list(islice(parsed.after(first, zone), 20))
    end = forward[-1] + timedelta(microseconds=1)
    back = [at for at in islice(parsed.before(end, zone), 20) if at > first]
    assert back[::-1] == forward
