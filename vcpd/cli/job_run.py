"""`vcpd jobs run` and `vcpd collect`: start a job in the daemon and watch it to its end."""

import argparse
import sys
import time
from collections.abc import Mapping
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from vcpd.cli.asking import DaemonClient, daemon_client, path_part
from vcpd.cli.status import progress_text
from vcpd.cli.verbs import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, EXIT_TRY_AGAIN
from vcpd.domain.errors import PermanentError

LOOK_EVERY_S: Final = 0.25
RUNS_SEEN: Final = 50
CODES: Final = {"done": EXIT_OK, "failed": EXIT_FAILED}


def run_job(arguments: argparse.Namespace) -> int:
    """Exit code 0 for done, 1 for failed, 75 for any other outcome."""
    daemon, name = daemon_client(arguments), arguments.job
    run_id = daemon.post(f"/api/jobs/{path_part(name)}/run", session=arguments.session)["run_id"]
    if arguments.no_wait:
        print(f"{name}: run {run_id} is on its way; `vcpd jobs` tells how far it is")
        return EXIT_OK
    try:
        run = watch(daemon, name, run_id)
    except KeyboardInterrupt:
        print(f"{name}: run {run_id} goes on without you; `vcpd jobs` tells how far it is", file=sys.stderr)
        return EXIT_INTERRUPTED
    _say(run)
    return CODES.get(run["outcome"], EXIT_TRY_AGAIN)


def watch(daemon: DaemonClient, name: str, run_id: int) -> Mapping[str, Any]:
    """Show a progress bar until the run has an outcome; gives its row."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=None)
        while True:
            run = _row_of(daemon, name, run_id)
            if run["outcome"] is not None:
                return run
            _show(bar, task, daemon, name)
            time.sleep(LOOK_EVERY_S)


def _row_of(daemon: DaemonClient, name: str, run_id: int) -> Mapping[str, Any]:
    for run in daemon.get("/api/runs", job=name, limit=RUNS_SEEN)["items"]:
        if run["id"] == run_id:
            found: Mapping[str, Any] = run
            return found
    raise PermanentError(f"{name}: the daemon no longer knows run {run_id}; see `vcpd jobs`")


def _show(bar: Progress, task: TaskID, daemon: DaemonClient, name: str) -> None:
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


def _say(run: Mapping[str, Any]) -> None:
    counts = ", ".join(f"{count:,} {what.replace('_', ' ')}" for what, count in run["counts"].items())
    reason = f": {run['reason']}" if run["reason"] else ""
    print(f"{run['job']} for {run['session']}: {run['outcome']}{reason}")
    if counts:
        print(f"  {counts}")
