"""`vcpd jobs`: each job as it stands; pause and resume."""

import argparse
from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from vcpd.cli.asking import daemon_client, path_part
from vcpd.cli.configuration import zone_name
from vcpd.cli.output import local_text, print_json, print_table
from vcpd.cli.status import duration_text, progress_text
from vcpd.cli.verbs import EXIT_OK


def list_jobs(arguments: argparse.Namespace) -> int:
    """All jobs, the next one first."""
    jobs = daemon_client(arguments).get("/api/jobs")["items"]
    if arguments.json:
        print_json(jobs)
    else:
        _print_jobs(jobs, ZoneInfo(zone_name(arguments)))
    return EXIT_OK


def pause_job(arguments: argparse.Namespace) -> int:
    """BadInputError for an unknown name."""
    daemon_client(arguments).post(f"/api/jobs/{path_part(arguments.job)}/pause")
    print(f"{arguments.job} is paused: its runs are skipped until `vcpd jobs resume {arguments.job}`")
    return EXIT_OK


def resume_job(arguments: argparse.Namespace) -> int:
    """BadInputError for an unknown name."""
    daemon_client(arguments).post(f"/api/jobs/{path_part(arguments.job)}/resume")
    print(f"{arguments.job} runs by itself again")
    return EXIT_OK


def _print_jobs(jobs: Sequence[Mapping[str, Any]], zone: ZoneInfo) -> None:
    columns = ("job", "next", "last", "outcome", "took", "misses", "now, or why")
    rows = [_row(job, zone) for job in jobs]
    print_table(f"{len(jobs)} jobs, times in {zone.key}", columns, rows, ("took", "misses"))


def _row(job: Mapping[str, Any], zone: ZoneInfo) -> tuple[str, ...]:
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
