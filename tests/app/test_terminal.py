"""What a person on a terminal is shown."""

from datetime import UTC, date, datetime

import msgspec
import pytest

from vcpd.app.terminal import greeting, progress_line
from vcpd.schedule.status import JobStatus, PendingRunStatus, RunningRunStatus, SchedulerStatus

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SESSION = date(2026, 11, 20)


def job(name: str) -> JobStatus:
    return JobStatus(
        name=name,
        schedule="",
        enabled=True,
        paused=False,
        heavy=True,
        next_at=None,
        next_session=None,
        last=None,
        last_duration_s=None,
        misses=0,
        running=None,
        waiting=(),
    )


def running(name: str, done: int, total: int, note: str) -> JobStatus:
    work = RunningRunStatus(1, SESSION, NOW, done, total, note, None)
    return msgspec.structs.replace(job(name), running=work)


def waiting(name: str, reason: str) -> JobStatus:
    pending = PendingRunStatus(NOW, SESSION, NOW, reason, NOW, "tick")
    return msgspec.structs.replace(job(name), waiting=(pending,))


def status(*jobs: JobStatus) -> SchedulerStatus:
    return SchedulerStatus(leading=True, as_of=NOW, jobs=jobs)


@pytest.mark.parametrize(
    ("jobs", "line"),
    [
        (
            [running("collect", 1200, 2500, "candles up to 2026-11-20")],
            "collect: 1,200 of 2,500, candles up to 2026-11-20",
        ),
        (
            [running("regime", 0, 0, ""), running("scan", 1, 3, ""), waiting("screen", "regime")],
            "regime   scan: 1 of 3",
        ),
        ([job("collect"), waiting("screen", "load 9.0 per core")], "screen waits: load 9.0 per core"),
        ([job("collect")], "idle; next: collect"),
    ],
)
def test_the_line_shows_progress_then_what_waits_then_what_comes(jobs: list[JobStatus], line: str) -> None:
    assert progress_line(status(*jobs), lambda: "idle; next: collect") == line


def test_the_greeting_names_the_page_and_commands_that_can_be_copied() -> None:
    text = greeting(".venv/bin/vcpd", "sandbox", "http://127.0.0.1:8787/")
    assert "a simulated exchange" in text
    assert "http://127.0.0.1:8787/\n" in text
    assert ".venv/bin/vcpd setups" in text
    assert " vcpd setups" in greeting("/somewhere/vcpd/__main__.py", "kite", "http://127.0.0.1:8787/")
