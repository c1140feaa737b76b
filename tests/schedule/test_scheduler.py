"""The scheduler on a virtual clock: what runs, what waits, what is skipped, and what is on record."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date, datetime, timedelta

import msgspec
import pytest

from tests.fakes.runs import RunTable
from tests.schedule.sample_daemon import Daemon
from tests.schedule.virtual_time import LoopClock, run_virtually
from vcpd.core.errors import ConfigurationError, NeedsLoginError, RetryableError, UnavailableError
from vcpd.domain.health import MachineLoad
from vcpd.domain.nse_calendar import NSE
from vcpd.domain.runs import Outcome, Run, RunCause
from vcpd.schedule.default_policies import default_policies
from vcpd.schedule.policy import JobPolicy, ScheduleSettings

MONDAY = "2026-11-23"
FIRST_JOBS = ("instruments", "collect", "regime", "screen", "risk")
Scene = Callable[[LoopClock, RunTable], Awaitable[None]]


def ist(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+05:30")


def play(start: str, scene: Scene) -> RunTable:
    """Run `scene` from the given IST wall time on; gives the run table as it was left."""
    table = RunTable()

    async def act() -> None:
        await scene(LoopClock(ist(start)), table)

    run_virtually(act())
    return table


def every_minute(**changes: object) -> JobPolicy:
    return msgspec.structs.replace(JobPolicy(cron="* * * * *", on="days"), **changes)


def daily(at: str, **changes: object) -> JobPolicy:
    return msgspec.structs.replace(JobPolicy(at=at), **changes)


# -- the first start ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "session"),
    [
        ("2026-11-22T15:00", date(2026, 11, 20)),  # a Sunday
        ("2026-11-23T07:00", date(2026, 11, 20)),  # before the first tick of the day
        ("2026-11-23T11:00", date(2026, 11, 20)),  # while the session runs
        ("2026-11-23T22:00", date(2026, 11, 23)),  # after everything
    ],
)
def test_an_empty_table_is_caught_up_at_once_in_order(start: str, session: date) -> None:
    """Instruments, collection, regime, screen and risk of the last completed session run within a minute."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        daemon = Daemon(clock, table, default_policies()).start()
        await clock.sleep(60)
        order = [job for job in daemon.work.order() if job in FIRST_JOBS]
        assert order == list(FIRST_JOBS)
        worked_for = {job: day for job, _, day in daemon.work.log}
        assert {worked_for[job] for job in FIRST_JOBS[1:]} == {session}
        await daemon.stop()

    table = play(start, scene)
    assert all(run.outcome is Outcome.DONE for run in table.rows.values())


def test_a_day_of_a_running_daemon_is_the_default_day() -> None:
    """Every run of Monday at its time; regime, screen and risk as soon as the second collection is done."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        daemon = Daemon(clock, table, default_policies()).start()
        await clock.sleep_until(ist(f"{MONDAY}T07:00"))
        daemon.work.log.clear()
        await clock.sleep_until(ist(f"{MONDAY}T23:00"))
        began = [f"{job} {at.astimezone(NSE.zone):%H:%M:%S}" for job, at, _ in daemon.work.log]
        assert [line for line in began if not line.startswith("watch")] == [
            "reconcile 08:20:00",
            "instruments 08:35:00",
            "calendar 09:40:00",
            "screen_intraday 10:00:00",
            "positions_intraday 10:10:00",
            "calendar 10:45:00",
            "screen_intraday 12:00:00",
            "positions_intraday 12:10:00",
            "calendar 13:30:00",
            "screen_intraday 14:00:00",
            "positions_intraday 14:10:00",
            "collect 15:35:00",
            "collect 16:05:00",
            "regime 16:05:05",
            "screen 16:05:10",
            "risk 16:05:15",
            "calendar 16:30:00",
            "calendar 18:40:00",
            "scan 18:40:00",
            "positions 18:45:00",
            "levels 18:50:00",
            "housekeeping 19:00:00",
            "backup 19:30:00",
        ]
        await daemon.stop()

    play("2026-11-22T20:00", scene)


# -- order -------------------------------------------------------------------------------------------


ORDER = {"collect": daily("15:35"), "risk": daily("18:30", after=("collect",))}


def test_what_runs_after_others_waits_for_a_late_one() -> None:
    """A collection that is still at work at 18:30 is waited for; the run keeps its instant of 18:30."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        policies = {**ORDER, "collect": daily("15:35", timeout_s=20_000.0)}
        table.settle(policies, clock.now())
        daemon = Daemon(clock, table, policies)
        daemon.work.takes_s["collect"] = 4 * 3600.0 - 60
        daemon.start()
        await clock.sleep_until(ist(f"{MONDAY}T19:00"))
        waiting = next(job for job in daemon.scheduler.snapshot().jobs if job.name == "risk").waiting
        assert waiting[0].waits_for == "after collect"
        await clock.sleep_until(ist(f"{MONDAY}T20:00"))
        await daemon.stop()

    table = play(f"{MONDAY}T15:00", scene)
    last = table.of("risk")[-1]
    assert (last.scheduled_at, last.outcome) == (ist(f"{MONDAY}T18:30"), Outcome.DONE)
    assert last.started_at == ist(f"{MONDAY}T19:34")


def test_a_failed_predecessor_skips_its_follower_with_the_reason() -> None:
    """At 18:30 the failed collection is on record as the reason; nothing ran in its place."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        daemon = Daemon(clock, table, ORDER)
        daemon.work.raises["collect"] = NeedsLoginError("log in first")
        daemon.start()
        await clock.sleep_until(ist(f"{MONDAY}T18:31"))
        await daemon.stop()

    table = play(f"{MONDAY}T15:00", scene)
    last = table.of("risk")[-1]
    assert (last.outcome, last.reason) == (Outcome.SKIPPED, "collect failed: log in first")


def test_a_repaired_predecessor_releases_its_follower() -> None:
    """A collection that fails at 15:35 and is run by hand at 16:00 lets risk run at 16:00."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        daemon = Daemon(clock, table, ORDER)
        daemon.work.raises["collect"] = RetryableError("busy")
        daemon.start()
        await clock.sleep_until(ist(f"{MONDAY}T16:00"))
        daemon.work.raises.clear()
        await daemon.scheduler.run_now("collect", date(2026, 11, 23))
        await clock.sleep(30)
        await daemon.stop()

    table = play(f"{MONDAY}T15:00", scene)
    assert table.of("risk")[-1].started_at == ist(f"{MONDAY}T16:00:05")


def test_without_word_of_the_predecessor_the_clock_time_is_the_latest_moment() -> None:
    """A disabled collection is not waited for: risk runs at 18:30."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        policies = {**ORDER, "collect": daily("15:35", enabled=False)}
        daemon = Daemon(clock, table, policies).start()
        await clock.sleep_until(ist(f"{MONDAY}T18:31"))
        await daemon.stop()

    table = play(f"{MONDAY}T15:00", scene)
    assert table.of("risk")[-1].started_at == ist(f"{MONDAY}T18:30")


# -- overlap, heavy work, pressure, deadlines --------------------------------------------------------


def test_an_overlapping_run_is_skipped_on_record() -> None:
    """A job that takes 90 s every minute runs every other minute; the others are skipped."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        daemon = Daemon(clock, table, {"tick": every_minute()})
        daemon.work.takes_s["tick"] = 90.0
        daemon.start()
        await clock.sleep(5 * 60)
        await daemon.stop()

    table = play("2026-11-22T12:00", scene)
    assert [outcome for _, outcome in table.outcomes("tick")[:4]] == ["done", "skipped", "done", "skipped"]


def test_making_up_for_an_old_session_does_not_replace_todays_run() -> None:
    """Friday's run is still being made up for when Monday's is due: Monday's waits, then runs."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        daemon = Daemon(clock, table, {"job": daily("12:00")})
        daemon.work.takes_s["job"] = 600.0
        daemon.start()
        await clock.sleep(1300)
        await daemon.stop()

    table = play(f"{MONDAY}T11:59", scene)
    assert table.outcomes("job") == [("11-20 12:00", "done"), ("11-23 12:00", "done")]


def test_a_queued_run_follows_and_a_replaced_one_is_cancelled() -> None:
    """`queue` runs all in turn; `replace` ends the one before and says which run replaced it."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        policies = {"turn": every_minute(overlap="queue"), "fresh": every_minute(overlap="replace")}
        daemon = Daemon(clock, table, policies)
        daemon.work.takes_s = {"turn": 90.0, "fresh": 90.0}
        daemon.start()
        await clock.sleep(3 * 60 + 50)
        daemon.scheduler.reload(daemon.jobs({}), ScheduleSettings())
        await daemon.stop()

    table = play("2026-11-22T12:00", scene)
    assert [outcome for _, outcome in table.outcomes("turn")[:2]] == ["done", "done"]
    assert [outcome for _, outcome in table.outcomes("fresh")] == ["cancelled"] * 3 + ["done"]
    assert table.of("fresh")[0].reason.startswith("replaced by the run of 2026-11-22 06:31 UTC")


def test_heavy_jobs_take_turns_by_priority() -> None:
    """Three heavy jobs due at once run one by one; who waits says for whom."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        policies = {
            name: daily("12:00", heavy=True, priority=priority)
            for name, priority in (("last", 90), ("first", 10), ("second", 20))
        }
        daemon = Daemon(clock, table, policies)
        daemon.work.takes_s = dict.fromkeys(policies, 600.0)
        table.settle(policies, clock.now())
        daemon.start()
        await clock.sleep_until(ist(f"{MONDAY}T12:05"))
        reasons = {
            job.name: [status.waits_for for status in job.waiting] for job in daemon.scheduler.snapshot().jobs
        }
        assert reasons == {
            "first": [],
            "second": ["the heavy job first is running"],
            "last": ["the heavy job first is running"],
        }
        await clock.sleep_until(ist(f"{MONDAY}T13:00"))
        assert daemon.work.order() == ["first", "second", "last"]
        await daemon.stop()

    play(f"{MONDAY}T11:00", scene)


def test_light_work_goes_on_or_is_skipped_during_heavy_work() -> None:
    """`during_heavy` decides, and the skip is on record with the heavy job's name."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        policies = {
            "heavy": every_minute(cron="30 12 * * *", heavy=True),
            "on": every_minute(),
            "off": every_minute(during_heavy="skip"),
        }
        daemon = Daemon(clock, table, policies)
        daemon.work.takes_s["heavy"] = 150.0
        table.settle(policies, clock.now())
        daemon.start()
        await clock.sleep_until(ist("2026-11-22T12:34"))
        await daemon.stop()

    table = play("2026-11-22T12:29:30", scene)
    skipped = [run for run in table.of("off") if run.outcome is Outcome.SKIPPED]
    assert [run.reason for run in skipped] == ["the heavy job heavy is running"] * 3
    assert all(run.outcome is Outcome.DONE for run in table.of("on"))


def test_a_heavy_job_waits_for_memory_and_says_so() -> None:
    """Above the mark it waits with the numbers; a few seconds after there is room it runs."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        daemon = Daemon(clock, table, {"heavy": daily("12:00", heavy=True)})
        daemon.pressure = MachineLoad(memory_used_pct=97.0)
        daemon.start()
        await clock.sleep_until(ist(f"{MONDAY}T12:30"))
        waiting = daemon.scheduler.snapshot().jobs[0].waiting
        assert {status.waits_for for status in waiting} == {"memory 97 % used, limit 92 %"}
        daemon.pressure = MachineLoad()
        await clock.sleep(10)
        assert daemon.work.order() == ["heavy", "heavy"], "Friday's run, made up for, and today's"
        await daemon.stop()

    play(f"{MONDAY}T11:59", scene)


def test_a_heavy_job_waits_for_the_processor_but_not_for_good() -> None:
    """Whoever keeps the machine busy, even on purpose, delays the evening and does not prevent it."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        policies = {"heavy": daily("12:00", heavy=True)}
        table.settle(policies, clock.now())
        daemon = Daemon(clock, table, policies)
        daemon.pressure = MachineLoad(cpu_load_per_core=9.0)
        daemon.start()
        await clock.sleep_until(ist(f"{MONDAY}T12:09"))
        waiting = daemon.scheduler.snapshot().jobs[0].waiting
        assert waiting[0].waits_for == "load 9.0 per core, limit 4.0; at most 10 minutes"
        assert daemon.work.order() == []
        await clock.sleep_until(ist(f"{MONDAY}T12:11"))
        assert daemon.work.order() == ["heavy"]
        await daemon.stop()

    play(f"{MONDAY}T11:59", scene)


def test_who_waits_beyond_the_start_deadline_is_missed() -> None:
    """One hour under pressure, and the run is on record as missed with what it waited for."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        policies = {"heavy": daily("12:00", heavy=True, start_deadline_s=3600.0)}
        table.settle(policies, clock.now())
        daemon = Daemon(clock, table, policies)
        daemon.pressure = MachineLoad(memory_used_pct=99.0)
        daemon.start()
        await clock.sleep_until(ist(f"{MONDAY}T13:01"))
        await daemon.stop()

    table = play(f"{MONDAY}T11:59", scene)
    last = table.of("heavy")[-1]
    assert last.outcome is Outcome.MISSED
    assert last.reason == "waited too long: memory 99 % used, limit 92 %"


def test_a_run_past_its_timeout_is_ended() -> None:
    """The row fails with the limit in it, and nothing goes on behind its back."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        policies = {"long": daily("12:00", timeout_s=600.0)}
        table.settle(policies, clock.now())
        daemon = Daemon(clock, table, policies)
        daemon.work.takes_s["long"] = 7200.0
        daemon.start()
        await clock.sleep_until(ist(f"{MONDAY}T12:11"))
        assert daemon.work.scheduler_status == []
        await daemon.stop()

    last = play(f"{MONDAY}T11:59", scene).of("long")[-1]
    assert (last.outcome, last.reason) == (Outcome.FAILED, "timed out after 600 s")
    assert last.finished_at == ist(f"{MONDAY}T12:10")


def test_a_bug_in_a_job_ends_its_run_and_nothing_else() -> None:
    """The next tick runs as if nothing had happened."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        daemon = Daemon(clock, table, {"tick": every_minute()})
        daemon.work.raises["tick"] = ZeroDivisionError("x")
        daemon.start()
        await clock.sleep(30)
        daemon.work.raises.clear()
        await clock.sleep(60)
        await daemon.stop()

    table = play("2026-11-22T12:00", scene)
    assert [outcome for _, outcome in table.outcomes("tick")] == ["failed", "done"]
    assert table.of("tick")[0].reason == "internal error: ZeroDivisionError: x"


# -- down, asleep, killed ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("catch_up", "outcomes"),
    [
        ("latest", ["done", "missed", "missed", "done"]),
        ("all", ["done", "done", "done", "done"]),
        ("none", ["done", "missed", "missed", "missed"]),
    ],
)
@pytest.mark.parametrize("how", ["down", "asleep"])
def test_what_was_missed_is_made_up_for_as_the_policy_says(
    how: str, catch_up: str, outcomes: list[str]
) -> None:
    """Down or suspended from Monday to Friday: Wednesday's, Thursday's and Friday's ticks are decided."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        policies = {"job": daily("12:00", catch_up=catch_up, start_deadline_s=3600.0)}
        daemon = Daemon(clock, table, policies).start()
        await clock.sleep_until(ist(f"{MONDAY}T13:00"))
        if how == "down":
            await daemon.stop()
            clock.step(timedelta(days=4, hours=5))
            daemon = Daemon(clock, table, policies).start()
        else:
            clock.step(timedelta(days=4, hours=5))
        await clock.sleep(120)
        await daemon.stop()

    table = play(f"{MONDAY}T11:59:30", scene)
    assert [outcome for at, outcome in table.outcomes("job") if at >= "11-23"] == outcomes


def test_a_killed_run_is_made_up_for_after_the_restart() -> None:
    """kill -9 in the middle: the row fails as stale, and a retry of the same session is done."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        table.settle(ORDER, clock.now())
        daemon = Daemon(clock, table, ORDER)
        daemon.work.takes_s["collect"] = 600.0
        daemon.start()
        await clock.sleep_until(ist(f"{MONDAY}T15:40"))
        await daemon.kill()
        daemon = Daemon(clock, table, ORDER).start()
        await clock.sleep(60)
        await daemon.stop()

    table = play(f"{MONDAY}T15:34:30", scene)
    stale, retry = table.of("collect")[-2:]
    assert (stale.outcome, stale.reason) == (Outcome.FAILED, "the daemon died during this run")
    assert (retry.outcome, retry.session) == (Outcome.DONE, date(2026, 11, 23))
    assert table.of("risk")[-1].outcome is Outcome.DONE


def test_a_run_that_always_kills_the_daemon_is_given_up() -> None:
    """After the first try and three more the scheduler leaves that session's run alone."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        policies = {"deadly": daily("12:00")}
        for _ in range(6):
            daemon = Daemon(clock, table, policies)
            daemon.work.takes_s["deadly"] = 600.0
            daemon.start()
            await clock.sleep(60)
            await daemon.kill()

    table = play(f"{MONDAY}T12:00:10", scene)
    assert len(table.of("deadly")) == 4


def test_stopping_drains_then_cancels_and_the_next_start_goes_on() -> None:
    """Work that fits into the deadline is done; what does not is cancelled and tried again."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        policies = {"short": every_minute(), "long": every_minute(timeout_s=86_400.0)}
        daemon = Daemon(clock, table, policies)
        daemon.work.takes_s = {"short": 20.0, "long": 3000.0}
        daemon.start()
        await clock.sleep(5)
        await daemon.stop(deadline_s=30)
        daemon = Daemon(clock, table, policies).start()
        await clock.sleep(10)
        await daemon.stop()

    table = play("2026-11-22T12:00", scene)
    assert [outcome for _, outcome in table.outcomes("short")] == ["done"]
    assert [outcome for _, outcome in table.outcomes("long")] == ["cancelled", "done"]


def test_a_clock_set_back_runs_nothing_twice() -> None:
    """Half an hour comes again after an NTP step; its runs are on record already."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        daemon = Daemon(clock, table, {"tick": every_minute(cron="*/10 * * * *")}).start()
        await clock.sleep(45 * 60)
        clock.step(-timedelta(minutes=30))
        await clock.sleep(46 * 60)
        assert len(daemon.work.log) == 7
        await daemon.stop()

    table = play("2026-11-22T12:00", scene)
    assert [outcome for _, outcome in table.outcomes("tick")] == ["done"] * 7


def test_reloads_lose_no_tick_and_double_none() -> None:
    """A reload every 7 s for an hour: sixty-one minutes, sixty-one runs."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        policies = {"tick": every_minute()}
        daemon = Daemon(clock, table, policies).start()
        end = clock.now() + timedelta(hours=1)
        while clock.now() < end:
            await clock.sleep(7)
            daemon.scheduler.reload(daemon.jobs(policies), ScheduleSettings())
        await daemon.stop()

    table = play("2026-11-22T12:00", scene)
    assert [outcome for _, outcome in table.outcomes("tick")] == ["done"] * 61


def test_a_reload_takes_effect_before_the_slice_ends() -> None:
    """A job added for the next second runs in that second, though the scheduler slept for longer."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        daemon = Daemon(clock, table, {}).start()
        await clock.sleep(1)
        daemon.scheduler.reload(daemon.jobs({"new": every_minute()}), ScheduleSettings())
        await clock.sleep(3)
        assert daemon.work.order() == ["new"]
        await daemon.stop()

    play("2026-11-22T12:00:57", scene)


def test_a_contradictory_reload_changes_nothing() -> None:
    """The refusal names the place; the old policies go on."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        daemon = Daemon(clock, table, {"tick": every_minute()}).start()
        await clock.sleep(1)
        with pytest.raises(ConfigurationError, match="waits for itself"):
            daemon.scheduler.reload(daemon.jobs({"a": every_minute(after=("a",))}), ScheduleSettings())
        await clock.sleep(60)
        await daemon.stop()

    assert len(play("2026-11-22T12:00", scene).of("tick")) == 2


# -- several daemons, the store, the owner -----------------------------------------------------------


def test_one_of_two_daemons_schedules_and_the_other_takes_over() -> None:
    """The standby starts nothing while the leader lives, and goes on within a minute of its death."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        policies = {"tick": every_minute(cron="*/5 * * * *")}
        leader, standby = Daemon(clock, table, policies), Daemon(clock, table, policies)
        standby.may_lead = False
        leader.start()
        standby.start()
        await clock.sleep(12 * 60)
        assert (leader.scheduler.is_leading, standby.scheduler.is_leading) == (True, False)
        assert standby.work.log == []
        with pytest.raises(UnavailableError, match="does not schedule"):
            await standby.scheduler.run_now("tick")
        await leader.kill()
        standby.may_lead = True
        await clock.sleep(60)
        assert standby.scheduler.is_leading
        await clock.sleep(10 * 60)
        await standby.stop()

    table = play("2026-11-22T12:01", scene)
    assert [outcome for _, outcome in table.outcomes("tick")] == ["done"] * 5


def test_a_daemon_that_loses_the_lead_ends_its_runs() -> None:
    """What it was doing is cancelled, so that the new leader may do it."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        daemon = Daemon(clock, table, {"tick": every_minute(cron="0 * * * *")})
        daemon.work.takes_s["tick"] = 3000.0
        daemon.start()
        await clock.sleep(30)
        daemon.may_lead = False
        await clock.sleep(90)
        assert daemon.work.scheduler_status == []
        await daemon.stop()

    last = play("2026-11-22T12:00", scene).of("tick")[-1]
    assert (last.outcome, last.reason) == (Outcome.CANCELLED, "leadership lost to another instance")


def test_a_store_that_is_away_is_waited_for() -> None:
    """The tick that fell into the outage runs once the database is back."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        daemon = Daemon(clock, table, {"tick": every_minute(cron="*/10 * * * *")}).start()
        await clock.sleep(60)
        daemon.runs.away = UnavailableError("no database")
        await clock.sleep(10 * 60)
        daemon.runs.away = None
        await clock.sleep(60)
        await daemon.stop()

    table = play("2026-11-22T12:05", scene)
    assert table.outcomes("tick") == [("11-22 12:00", "done"), ("11-22 12:10", "done")]


def test_an_error_that_should_not_be_ends_the_scheduler_loudly() -> None:
    """A store that breaks its promises is no passing trouble: the owned task dies with the error."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        daemon = Daemon(clock, table, {"tick": every_minute()})
        task = daemon.scheduler.start()
        await clock.sleep(1)
        daemon.runs.away = AssertionError("impossible")
        await clock.sleep(120)
        assert task.done()
        assert isinstance(task.exception(), AssertionError)
        await daemon.stop()

    play("2026-11-22T12:00", scene)


def test_a_pause_is_on_record_and_survives_a_restart() -> None:
    """Paused ticks are skipped with that reason by the next daemon too; resumed ones run."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        policies = {"tick": every_minute()}
        daemon = Daemon(clock, table, policies).start()
        await clock.sleep(10)
        await daemon.scheduler.pause("tick")
        await clock.sleep(60)
        await daemon.stop()
        daemon = Daemon(clock, table, policies).start()
        await clock.sleep(60)
        assert daemon.scheduler.snapshot().jobs[0].paused
        await daemon.scheduler.resume("tick")
        await clock.sleep(60)
        with pytest.raises(KeyError):
            await daemon.scheduler.pause("nobody")
        await daemon.stop()

    table = play("2026-11-22T12:00", scene)
    assert [outcome for _, outcome in table.outcomes("tick")] == ["done", "skipped", "skipped", "done"]
    assert table.of("tick")[1].reason == "paused"


def test_a_run_by_hand_works_for_the_session_asked_for() -> None:
    """The given session, else the last completed one, or the running one for a live job."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        policies = {name: JobPolicy() for name in ("collect", "screen_intraday")}
        daemon = Daemon(clock, table, policies).start()
        await clock.sleep(1)
        assert await daemon.scheduler.run_now("collect") == 1
        with pytest.raises(RetryableError, match="already on its way"):
            await daemon.scheduler.run_now("collect")
        await clock.sleep(10)
        await daemon.scheduler.run_now("collect", date(2026, 11, 19))
        await daemon.scheduler.run_now("screen_intraday")
        await clock.sleep(10)
        with pytest.raises(KeyError):
            await daemon.scheduler.run_now("nobody")
        sessions = [session for _, _, session in daemon.work.log]
        assert sessions == [date(2026, 11, 20), date(2026, 11, 19), date(2026, 11, 23)]
        await daemon.stop()

    table = play(f"{MONDAY}T11:00", scene)
    assert {run.cause for run in table.rows.values()} == {RunCause.MANUAL}


def test_a_login_makes_up_for_what_failed_without_it() -> None:
    """`retry_failed` tries the failed collection again, and what was skipped because of it."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        daemon = Daemon(clock, table, ORDER)
        daemon.work.raises["collect"] = NeedsLoginError("log in first")
        daemon.start()
        await clock.sleep_until(ist(f"{MONDAY}T18:45"))
        daemon.work.raises.clear()
        daemon.scheduler.retry_failed(RunCause.LOGIN)
        await clock.sleep(30)
        await daemon.stop()

    table = play(f"{MONDAY}T15:34:30", scene)
    assert table.of("collect")[-1].outcome is Outcome.DONE
    assert table.of("risk")[-1].outcome is Outcome.DONE
    assert table.of("risk")[-1].session == date(2026, 11, 23)
    assert [run.cause for run in table.of("collect")] == [RunCause.CATCH_UP, RunCause.TICK, RunCause.LOGIN]


def test_every_finished_run_is_reported_once_its_row_says_so() -> None:
    """Done, failed and never begun, at the very instant: nobody has to look for it."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        daemon = Daemon(clock, table, ORDER)
        reported: list[tuple[str, str, float]] = []

        def listen(run: Run) -> None:
            row = table.rows[run.job, run.scheduled_at]
            assert row.outcome is run.outcome
            reported.append((run.job, str(run.outcome), clock.monotonic_s()))

        daemon.scheduler.on_run_finished(listen)
        daemon.work.raises["collect"] = NeedsLoginError("log in first")
        daemon.start()
        await clock.sleep(60)
        ended_s = {name: at_s for name, _, at_s in reported}
        assert [line[:2] for line in reported] == [
            ("collect", "failed"),
            ("risk", "skipped"),
        ]
        assert ended_s["risk"] - ended_s["collect"] < 1
        daemon.work.raises.clear()
        daemon.scheduler.retry_failed(RunCause.LOGIN)
        await clock.sleep(60)
        assert [line[:2] for line in reported[2:]] == [
            ("collect", "done"),
            ("risk", "done"),
        ]
        await daemon.stop()

    play(f"{MONDAY}T12:00", scene)


def test_the_snapshot_shows_next_last_and_running() -> None:
    """What /status needs, as values that become JSON."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        daemon = Daemon(clock, table, {"tick": every_minute(cron="*/10 * * * *"), "hand": JobPolicy()})
        daemon.work.takes_s["hand"] = 100.0
        daemon.start()
        await clock.sleep(10)
        await daemon.scheduler.run_now("hand")
        await clock.sleep(10)
        first, second = daemon.scheduler.snapshot().jobs
        assert (first.name, first.next_at) == ("tick", ist("2026-11-22T12:10"))
        assert first.last is not None
        assert (first.last.outcome, first.last_duration_s) == (Outcome.DONE, 5.0)
        assert second.running is not None
        assert (second.running.run_id, second.next_at) == (2, None)
        assert b'"leading":true' in msgspec.json.encode(daemon.scheduler.snapshot())
        await daemon.stop()
        assert not [task for task in asyncio.all_tasks() if task.get_name().startswith(("run ", "scheduler"))]

    play("2026-11-22T12:00", scene)
