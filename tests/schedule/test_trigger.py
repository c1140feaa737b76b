"""Ticks: from policies and the exchange's calendar to instants."""

from datetime import UTC, date, datetime, timedelta
from itertools import islice, pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcpd.domain.nse_calendar import NSE
from vcpd.schedule.default_policies import default_policies
from vcpd.schedule.policy import (
    JobPolicy,
    ScheduleSettings,
    merge_policy,
    parse_session_times,
    policy_problems,
)
from vcpd.schedule.trigger import Trigger, upcoming_runs

IST = "Asia/Kolkata"


def ist(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+05:30")


def trigger(**policy: object) -> Trigger:
    return Trigger.of(msgspec.convert(policy, JobPolicy), NSE, IST)


def local(found: Trigger, start: str, n: int) -> list[str]:
    ticks = islice(found.after(ist(start)), n)
    return [f"{tick.scheduled_at.astimezone(NSE.zone):%m-%d %H:%M}" for tick in ticks]


def test_sessions_only_skips_closed_days() -> None:
    """A daily expression on sessions leaves out the weekend and the holiday of 2026-11-24."""
    assert local(trigger(cron="0 12 * * *"), "2026-11-20T13:00", 2) == ["11-23 12:00", "11-25 12:00"]
    assert local(trigger(cron="0 12 * * *", on="days"), "2026-11-20T13:00", 2) == [
        "11-21 12:00",
        "11-22 12:00",
    ]


def test_moments_follow_a_sessions_own_hours() -> None:
    """After the Muhurat session of 2026-11-08 the collection comes in the evening."""
    both = trigger(at="session_close + 5min, session_close+35min")
    assert local(both, "2026-11-07T00:00", 4) == ["11-08 19:05", "11-08 19:35", "11-09 15:35", "11-09 16:05"]
    assert local(trigger(at="session_open - 15min"), "2026-11-08T12:00", 1) == ["11-08 17:45"]
    assert local(trigger(at="08:35"), "2026-11-20T09:00", 1) == ["11-23 08:35"]


def test_the_default_day_is_the_one_in_the_documentation() -> None:
    """One ordinary session of the default day, in IST."""
    day = upcoming_runs(default_policies(), NSE, IST, date(2026, 11, 23), 1)[0]
    entries = [f"{entry.job} {entry.scheduled_at.astimezone(NSE.zone):%H:%M}" for entry in day.entries]
    assert [entry for entry in entries if not entry.startswith("watch")] == [
        "reconcile 08:20",
        "instruments 08:35",
        "calendar 09:40",
        "screen_intraday 10:00",
        "positions_intraday 10:10",
        "calendar 10:45",
        "screen_intraday 12:00",
        "positions_intraday 12:10",
        "calendar 13:30",
        "screen_intraday 14:00",
        "positions_intraday 14:10",
        "collect 15:35",
        "collect 16:05",
        "calendar 16:30",
        "regime 18:00",
        "screen 18:00",
        "risk 18:30",
        "calendar 18:40",
        "scan 18:40",
        "positions 18:45",
        "levels 18:50",
        "housekeeping 19:00",
        "backup 19:30",
    ]
    assert {entry.session for entry in day.entries} == {date(2026, 11, 23)}


def test_the_agenda_says_why_a_day_is_empty() -> None:
    """A weekend and a holiday carry their reasons; runs of every day are still there."""
    week = upcoming_runs(default_policies(), NSE, IST, date(2026, 11, 21), 4)
    assert [day.closed for day in week] == ["Saturday", "Sunday", None, "Guru Nanak Jayanti"]
    assert [entry.job for entry in week[0].entries] == [*["calendar"] * 5, "housekeeping", "backup"]


def test_a_day_off_works_for_the_session_before() -> None:
    """On a Sunday, housekeeping belongs to Friday's session."""
    tick = trigger(cron="0 19 * * *", on="days").next(ist("2026-11-22T12:00"))
    assert tick is not None
    assert tick.session == date(2026, 11, 20)


def test_a_disabled_job_and_one_without_times_have_no_ticks() -> None:
    """Both only run by hand."""
    assert trigger(cron="0 12 * * *", enabled=False).next(ist("2026-11-20T00:00")) is None
    assert trigger().latest(ist("2026-11-20T00:00")) is None


def test_a_schedule_that_meets_no_session_ends() -> None:
    """Sundays on which the exchange trades run out; looking for more does not hang."""
    assert len(list(islice(trigger(cron="0 12 * * SUN").after(ist("2026-11-09T00:00")), 5))) == 0


def test_a_time_zone_of_its_own() -> None:
    """Noon in Riga is 15:30 in winter's India; the session is the exchange's date."""
    assert local(trigger(cron="0 12 * * *", time_zone="Europe/Riga"), "2026-11-20T00:00", 1) == [
        "11-20 15:30"
    ]


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["session_close + 20h, session_open - 20h", "session_close, 23:59, 00:00", "09:15"]),
    st.datetimes(datetime(2024, 1, 1), datetime(2026, 12, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - hypothesis adds the zone
)
def test_ticks_ascend_and_read_the_same_backwards(at: str, start: datetime) -> None:
    """Strictly ascending, and `before` is the mirror of `after`."""
    found = trigger(at=at)
    forward = list(islice(found.after(start), 12))
    assert all(tick.scheduled_at < other.scheduled_at for tick, other in pairwise(forward))
    end = forward[-1].scheduled_at + timedelta(seconds=1)
    assert list(islice(found.before(end), 12))[::-1] == forward
    assert found.between(start, forward[-1].scheduled_at) == forward


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ({"cron": "61 * * * *"}, "field 1 "),
        ({"cron": "* * * * *", "at": "16:00"}, "both given"),
        ({"at": "session_close + 3d"}, "moment 1: expected HH:MM"),
        ({"at": "08:35, 25:00"}, "moment 2: expected a time"),
        ({"at": "session_close + 25h"}, "at most 24h"),
        ({"at": "session_close", "on": "days"}, "needs a session"),
        ({"cron": "@daily", "time_zone": "Mars/Olympus"}, "time zone"),
        ({"timeout_s": 0}, "> 0"),
        ({"overlap": "maybe"}, "overlap"),
    ],
)
def test_an_impossible_policy_is_refused(policy: dict[str, object], message: str) -> None:
    """Each refusal says what was expected."""
    with pytest.raises(msgspec.ValidationError, match=message):
        msgspec.convert(policy, JobPolicy)


def test_every_setting_explains_itself() -> None:
    """Documentation and config.toml are made from these lines."""
    for kind in (JobPolicy, ScheduleSettings):
        for field in msgspec.json.schema(kind)["$defs"][kind.__name__]["properties"].values():
            assert len(field.get("description", "")) > 10, field


def test_policies_that_wait_for_each_other_are_found() -> None:
    """Circles and unknown names are problems; the default day has none."""
    circle = {"a": JobPolicy(after=("b",)), "b": JobPolicy(not_during=("a",)), "c": JobPolicy(after=("x",))}
    assert policy_problems(circle) == [
        "jobs.c.after: there is no job 'x'",
        "jobs.a: waits for itself through after or not_during",
        "jobs.b: waits for itself through after or not_during",
    ]
    assert policy_problems(default_policies()) == []


def test_changed_times_replace_the_default_ones() -> None:
    """Giving collect a cron expression, or instruments a moment, needs no second line."""
    day = {name: msgspec.to_builtins(policy) for name, policy in default_policies().items()}
    collect = msgspec.convert(merge_policy(day["collect"], {"cron": "0 17 * * *"}), JobPolicy)
    assert (collect.cron, collect.at, collect.heavy) == ("0 17 * * *", None, True)
    instruments = msgspec.convert(merge_policy(day["instruments"], {"at": "08:40"}), JobPolicy)
    assert (instruments.cron, instruments.at) == (None, "08:40")
    assert merge_policy(day["risk"], {"priority": 1})["at"] == day["risk"]["at"]


def test_the_owner_extends_the_calendar_in_the_settings() -> None:
    """Holidays and sessions given as texts reach the ticks; wrong texts are refused."""
    settings_ = msgspec.convert(
        {
            "extra_holidays": ["2027-01-26"],
            "extra_sessions": ["2027-10-30 18:00-19:00 Muhurat", "2027-02-07"],
            "calendar_valid_until": "2027-12-31",
        },
        ScheduleSettings,
    )
    calendar = settings_.calendar(NSE)
    assert calendar.is_session(date(2027, 2, 7))
    assert not calendar.is_session(date(2027, 1, 26))
    found = Trigger.of(JobPolicy(at="session_close"), calendar, IST).next(ist("2027-10-30T00:00"))
    assert found is not None
    assert found.scheduled_at == ist("2027-10-30T19:00")
    for wrong in ("2027-13-01", "2027-01-02 19:00-18:00", "2027-01-02 18:00"):
        with pytest.raises(msgspec.ValidationError, match="extra session"):
            msgspec.convert({"extra_sessions": [wrong]}, ScheduleSettings)


def test_the_first_collection_of_an_evening_begins_no_earlier_than_the_last_price() -> None:
    """On every session of the calendar, those with closing auctions and those of an hour included."""
    moments = parse_session_times(default_policies()["collect"].at or "")
    sessions = NSE.sessions(NSE.valid_from, NSE.valid_until).tolist()
    early = [day for day in sessions if moments[0].resolve(day, NSE, NSE.zone) < NSE.trading_end(day)]
    assert (len(sessions) > 2_500, early) == (True, [])
