"""`vcpd jobs` and `vcpd collect`: list jobs, upcoming runs, start, pause and resume."""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from vcpd.cli.client import DaemonClient, daemon_client, quote_path_part
from vcpd.cli.command import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_TEMPORARY_FAILURE,
    Subparsers,
    add_command,
    add_config_argument,
    add_format_arguments,
    date_argument,
    positive_int_argument,
    set_action,
)
from vcpd.cli.config import load_or_default, time_zone_name
from vcpd.cli.output import local_text, print_data, print_table
from vcpd.cli.status import duration_text, progress_text
from vcpd.core.errors import BadInputError, PermanentError
from vcpd.runtime.clock import WallClock
from vcpd.schedule.trigger import UpcomingDay, upcoming_runs

EARLIEST_DATE: Final = date(1990, 1, 1)
LATEST_DATE: Final = date(2100, 1, 1)
MAX_DAYS: Final = 3_660
POLL_INTERVAL_S: Final = 0.25
RECENT_RUNS: Final = 50
OUTCOME_EXIT_CODES: Final = {"done": EXIT_OK, "failed": EXIT_FAILED}


def add_jobs_arguments(parser: argparse.ArgumentParser) -> None:
    set_action(
        parser,
        list_jobs,
        "vcpd jobs\nvcpd jobs next --days 7\nvcpd jobs run screen --session 2025-06-30\nvcpd jobs pause risk",
    )
    add_config_argument(parser)
    add_format_arguments(parser)
    nested = parser.add_subparsers(title="actions", metavar="ACTION")
    _jobs_next(nested)
    _jobs_run(nested)
    pause_text = "skip the job's runs until it is resumed, across restarts"
    _add_job_argument(add_command(nested, "pause", pause_text, "vcpd jobs pause screen", pause_job))
    resume_text = "let the scheduler start the job again"
    _add_job_argument(add_command(nested, "resume", resume_text, "vcpd jobs resume screen", resume_job))


def _jobs_next(nested: Subparsers) -> None:
    parser = add_command(
        nested,
        "next",
        "upcoming runs by day, and why a day has none; needs no daemon",
        "vcpd jobs next --days 7",
        list_upcoming_runs,
    )
    parser.add_argument("--days", type=positive_int_argument, default=7, metavar="N", help="default: 7")
    parser.add_argument("--from", dest="first", type=date_argument, metavar="DATE", help="default: today")
    add_config_argument(parser, nested=True)
    add_format_arguments(parser, nested=True)


def _jobs_run(nested: Subparsers) -> None:
    parser = add_command(
        nested,
        "run",
        "start a job now and wait for its end; exit code 0 done, 1 failed, 75 otherwise",
        "vcpd jobs run screen --session 2025-06-30",
        run_job,
    )
    _add_job_argument(parser)
    _add_run_arguments(parser)


def _add_job_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", metavar="NAME", help="as `vcpd jobs` lists it")
    add_config_argument(parser, nested=True)


def _add_run_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--session", type=date_argument, metavar="DATE", help="the session to work on; default: the last"
    )
    parser.add_argument(
        "--no-wait", action="store_true", help="return immediately; the run continues in the daemon"
    )


def list_jobs(arguments: argparse.Namespace) -> int:
    """All jobs, the next one first."""
    jobs = daemon_client(arguments).get("/api/jobs")["items"]
    if not print_data(arguments, jobs, jobs):
        _print_jobs(jobs, ZoneInfo(time_zone_name(arguments)))
    return EXIT_OK


def pause_job(arguments: argparse.Namespace) -> int:
    """BadInputError for an unknown name."""
    daemon_client(arguments).post(f"/api/jobs/{quote_path_part(arguments.job)}/pause")
    print(f"{arguments.job} is paused: its runs are skipped until `vcpd jobs resume {arguments.job}`")
    return EXIT_OK


def resume_job(arguments: argparse.Namespace) -> int:
    """BadInputError for an unknown name."""
    daemon_client(arguments).post(f"/api/jobs/{quote_path_part(arguments.job)}/resume")
    print(f"{arguments.job} is scheduled again")
    return EXIT_OK


def _print_jobs(jobs: Sequence[Mapping[str, Any]], zone: ZoneInfo) -> None:
    columns = ("job", "next", "last", "outcome", "took", "misses", "now, or why")
    rows = [_job_row(job, zone) for job in jobs]
    title = f"{len(jobs)} jobs, times in {zone.key}"
    print_table(title, columns, rows, ("took", "misses"), least_needed=("misses", "took", "last"))


def _job_row(job: Mapping[str, Any], zone: ZoneInfo) -> tuple[str, ...]:
    last = job["last"] or {}
    return (
        job["name"],
        _next_text(job, zone),
        local_text(last.get("scheduled_at"), zone),
        last.get("outcome") or ("running" if job["running"] else ""),
        duration_text(job["last_duration_s"]),
        str(job["misses"]),
        _now_text(job, zone),
    )


def _next_text(job: Mapping[str, Any], zone: ZoneInfo) -> str:
    if not job["enabled"]:
        return "disabled"
    when = local_text(job["next_at"], zone) or "by hand only"
    return f"paused ({when})" if job["paused"] else when


def _now_text(job: Mapping[str, Any], zone: ZoneInfo) -> str:
    if job["running"] is not None:
        return progress_text(job["running"])
    if job["waiting"]:
        return f"waits: {job['waiting'][0]['waits_for']}"
    reason = str((job["last"] or {}).get("reason", ""))
    return f"again {local_text(job['retry_at'], zone)[-5:]}: {reason}" if job["retry_at"] else reason


def list_upcoming_runs(arguments: argparse.Namespace) -> int:
    """Every run of `--days` days, and why a day has none."""
    configuration = load_or_default(arguments)
    zone = ZoneInfo(configuration.time_zone)
    calendar = configuration.calendar
    first = arguments.first or WallClock().now().astimezone(zone).date()
    if not (EARLIEST_DATE <= first <= LATEST_DATE and arguments.days <= MAX_DAYS):
        raise BadInputError(
            f"jobs next: expected --from between {EARLIEST_DATE} and {LATEST_DATE}, "
            f"--days of {MAX_DAYS} at most; was {first} and {arguments.days}"
        )
    days = upcoming_runs(configuration.jobs, calendar, zone.key, first, arguments.days)
    if print_data(arguments, days, _upcoming_rows(days)):
        return EXIT_OK
    print(f"Times in {zone.key}")
    for day in days:
        _print_day(day, zone)
    if (warning := calendar.warning(days[-1].day)) is not None:
        print(f"note: {warning}")
    return EXIT_OK


def _upcoming_rows(days: Sequence[UpcomingDay]) -> list[Mapping[str, Any]]:
    """One row a run, with the day it belongs to; a day without runs has none."""
    return [{"day": day.day, **msgspec.to_builtins(entry)} for day in days for entry in day.entries]


def _print_day(day: UpcomingDay, zone: ZoneInfo) -> None:
    closed = f"  no session: {day.closed}" if day.closed else ""
    print(f"\n{day.day:%a %Y-%m-%d}{closed}")
    if not day.entries:
        print("  nothing runs" + ("" if day.closed else ": no enabled job is due"))
    for entry in day.entries:
        note = f"  ({entry.note})" if entry.note else ""
        session = "" if entry.session == day.day else f"  for {entry.session}"
        print(f"  {entry.scheduled_at.astimezone(zone):%H:%M}  {entry.job}{session}{note}")


def add_collect_arguments(parser: argparse.ArgumentParser) -> None:
    set_action(parser, run_job, "vcpd collect --session 2025-06-30")
    parser.set_defaults(job="collect")
    add_config_argument(parser)
    _add_run_arguments(parser)


def run_job(arguments: argparse.Namespace) -> int:
    """Exit code 0 for done, 1 for failed, 75 for any other outcome."""
    daemon, name = daemon_client(arguments), arguments.job
    run_id = daemon.post(f"/api/jobs/{quote_path_part(name)}/run", session=arguments.session)["run_id"]
    if arguments.no_wait:
        print(f"{name}: run {run_id} has started; `vcpd jobs` shows its progress")
        return EXIT_OK
    try:
        run = follow_run(daemon, name, run_id)
    except KeyboardInterrupt:
        print(f"{name}: run {run_id} detached; it continues in the daemon", file=sys.stderr)
        return EXIT_INTERRUPTED
    _print_run(run)
    return OUTCOME_EXIT_CODES.get(run["outcome"], EXIT_TEMPORARY_FAILURE)


def follow_run(daemon: DaemonClient, name: str, run_id: int) -> Mapping[str, Any]:
    """Show a progress bar until the run has an outcome; gives its row."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=None)
        while True:
            run = _find_run(daemon, name, run_id)
            if run["outcome"] is not None:
                return run
            _update_progress(bar, task, daemon, name)
            time.sleep(POLL_INTERVAL_S)


def _find_run(daemon: DaemonClient, name: str, run_id: int) -> Mapping[str, Any]:
    for run in daemon.get("/api/runs", job=name, limit=RECENT_RUNS)["items"]:
        if run["id"] == run_id:
            found: Mapping[str, Any] = run
            return found
    raise PermanentError(f"{name}: the daemon no longer knows run {run_id}; see `vcpd jobs`")


def _update_progress(bar: Progress, task: TaskID, daemon: DaemonClient, name: str) -> None:
    for job in daemon.get("/api/jobs")["items"]:
        if job["name"] != name:
            continue
        if job["running"] is not None:
            running = job["running"]
            words = progress_text({**running, "total": 0})
            bar.update(
                task,
                description=f"{name}: {words}",
                completed=running["done"],
                total=running["total"] or None,
            )
        elif job["waiting"]:
            bar.update(task, description=f"{name} waits: {job['waiting'][0]['waits_for']}")


def _print_run(run: Mapping[str, Any]) -> None:
    counts = ", ".join(f"{count:,} {what.replace('_', ' ')}" for what, count in run["counts"].items())
    reason = f": {run['reason']}" if run["reason"] else ""
    print(f"{run['job']} for {run['session']}: {run['outcome']}{reason}")
    if counts:
        print(f"  {counts}")
