"""`vcpd status`: state of the running daemon in a few lines."""

import argparse
from collections.abc import Iterator, Mapping
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from vcpd.cli.client import daemon_client
from vcpd.cli.command import EXIT_FAILED, EXIT_OK, add_config_argument, add_json_argument, set_action
from vcpd.cli.output import local_text, print_json
from vcpd.runtime.engine_status import EngineStatus
from vcpd.runtime.settings import DASK


def add_status_arguments(parser: argparse.ArgumentParser) -> None:
    set_action(parser, status, "vcpd status")
    add_config_argument(parser)
    add_json_argument(parser)


def status(arguments: argparse.Namespace) -> int:
    """Exit code 1 while the daemon is not ready."""
    found = daemon_client(arguments).get("/status")
    if arguments.json:
        print_json(found)
    else:
        for line in status_lines(found, ZoneInfo(found["time_zone"])):
            print(line)
    return EXIT_OK if found["state"] == "ready" else EXIT_FAILED


def status_lines(found: Mapping[str, Any], zone: ZoneInfo) -> Iterator[str]:
    """Format /status as lines of text."""
    simulated = " (simulated)" if found["simulated"] else ""
    up = duration_text(found["uptime_s"])
    yield f"vcpd {found['version']}: {found['state']}, up {up}, pid {found['pid']}"
    yield f"market   {found['market']}{simulated}, {_login_text(found['login'], zone)}"
    yield f"session  last {found['session']['last']}, {_running_session(found['session']['running'])}"
    yield f"data     {_data_text(found['data'])}"
    yield from _health_lines(found.get("health") or {})
    if (engine := found.get("engine")) is not None and engine["name"] == DASK:
        yield f"engine   {msgspec.convert(engine, EngineStatus).text}"
    if (alerts := found.get("alerts")) is not None:
        yield f"alerts   {_alerts_text(alerts)}"
    for job in found["jobs"]:
        if (text := _job_text(job, zone)) is not None:
            yield f"job      {text}"
    yield from _warning_lines(found)


def _health_lines(health: Mapping[str, Any]) -> Iterator[str]:
    """The score, and below it what each lost point was taken for and what helps."""
    if (score := health.get("score")) is None:
        return
    yield f"health   {score} of 100"
    for item in health.get("items", ()):
        yield f"         -{item['points']} {item['item']}: {item['seen']}; {item['recommendation']}"


def duration_text(seconds: float | None) -> str:
    """`2 h 5 min`, `3 min 20 s`, `4.2 s`."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest_s = divmod(round(seconds), 60)
    hours, rest_min = divmod(minutes, 60)
    return f"{hours} h {rest_min} min" if hours else f"{minutes} min {rest_s} s"


def progress_text(running: Mapping[str, Any]) -> str:
    """How far a run is."""
    share = f"{running['done']} of {running['total']}, " if running["total"] else ""
    return f"{share}{running['note'] or 'at work'}"


def _login_text(login: Mapping[str, Any], zone: ZoneInfo) -> str:
    if login["state"] == "not_needed" or (login["state"] == "valid" and login.get("expires_at") is None):
        return "no login needed"
    if login["state"] == "valid":
        return f"logged in until {local_text(login['expires_at'], zone)}"
    return f"login due: {login['reason']}; run `vcpd login`"


def _running_session(running: str | None) -> str:
    return "none is running" if running is None else f"running {running}"


def _data_text(data: Mapping[str, Any]) -> str:
    if data["as_of"] is None:
        return "no bars yet"
    age = data["age_sessions"]
    old = "up to date" if not age else f"{age} sessions behind"
    return f"{data['symbols']:,} symbols to {data['as_of']} ({old}), {data['excluded']} left out for quality"


def _alerts_text(alerts: Mapping[str, Any]) -> str:
    parts = [", ".join(alerts["channels"]) or "no alert channel configured: see docs/alerts.md"]
    parts += alerts["missing"]
    if alerts["pending"]:
        parts.append(f"{alerts['pending']} pending")
    if alerts["given_up"]:
        parts.append(f"{alerts['given_up']} given up in the last day: see `vcpd alerts`")
    return "; ".join(parts)


def _job_text(job: Mapping[str, Any], zone: ZoneInfo) -> str | None:
    if job["running"] is not None:
        return f"{job['name']} runs: {progress_text(job['running'])}"
    if job["waiting"]:
        return f"{job['name']} waits: {job['waiting'][0]['waits_for']}"
    last = job["last"]
    if last is not None and last["outcome"] == "failed":
        return f"{job['name']} failed {local_text(last['scheduled_at'], zone)}: {last['reason']}"
    if job["paused"]:
        return f"{job['name']} is paused"
    return None


def _warning_lines(found: Mapping[str, Any]) -> Iterator[str]:
    if not found["scheduling"]:
        yield "note     another daemon of this database schedules"
    for problem in found["configuration"]["refused"]:
        yield f"warning  the last reload was refused: {problem}"
    if found["configuration"]["needs_restart"]:
        yield f"warning  changed, but needs a restart: {', '.join(found['configuration']['needs_restart'])}"
    for warning in found["warnings"]:
        yield f"warning  {warning}"
