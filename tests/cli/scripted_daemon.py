"""A daemon's port over scripted sources, and the configuration that leads a verb to it."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.fakes import web as fakes
from vcpd.cli.main import main
from vcpd.core.errors import BadInputError, RetryableError
from vcpd.domain.runs import Outcome, Run
from vcpd.domain.setups import Setup
from vcpd.web.context import SizeRequest, WebContext
from vcpd.web.server import build_application
from vcpd.web.settings import WebSettings

NOON = datetime(2025, 6, 30, 6, 30, tzinfo=UTC)
EVENING = datetime(2025, 6, 30, 10, 5, tzinfo=UTC)


def job_status(name: str, **changes: Any) -> dict[str, Any]:
    """A job as /api/jobs shows it."""
    plain = {
        "name": name,
        "schedule": "0 18 * * *",
        "enabled": True,
        "paused": False,
        "heavy": True,
        "next_at": EVENING,
        "next_session": fakes.SESSION,
        "last": None,
        "last_duration_s": None,
        "misses": 0,
        "running": None,
        "waiting": [],
        "retry_at": None,
    }
    return plain | changes


def status(**changes: Any) -> dict[str, Any]:
    """What /status says of a daemon in good health."""
    plain = {
        "version": "9.9",
        "state": "ready",
        "pid": 4711,
        "market": "sandbox",
        "time_zone": "Asia/Kolkata",
        "simulated": True,
        "now": NOON,
        "uptime_s": 7_500.0,
        "session": {"last": date(2025, 6, 27), "running": fakes.SESSION},
        "data": {
            "as_of": date(2025, 6, 27),
            "age_sessions": 0,
            "symbols": 2412,
            "sessions": 1300,
            "excluded": 3,
        },
        "login": {"state": "valid", "user_id": "AB", "login_at": NOON, "expires_at": EVENING, "reason": ""},
        "scheduling": True,
        "jobs": [job_status("screen")],
        "configuration": {"refused": [], "needs_restart": []},
        "warnings": [],
    }
    return plain | changes


class ScriptedDaemon(fakes.FakeDaemon):
    """Says what the test wrote down."""

    def __init__(self) -> None:
        super().__init__()
        self.said = status()
        self.listed: Sequence[Mapping[str, Any]] = [job_status("screen"), job_status("collect")]
        self.asked_sizes: list[SizeRequest] = []
        self.busy = False

    def status(self) -> Mapping[str, Any]:
        return self.said

    def jobs(self) -> Any:
        return self.listed

    async def run_job(self, name: str, session: date | None) -> int:
        if self.busy:
            raise RetryableError(f"{name} is already on its way; wait for it to end")
        if session == date(2025, 6, 29):
            raise BadInputError("2025-06-29 is not a session: Sunday")
        return await super().run_job(name, session)

    async def size(self, request: SizeRequest) -> Any:
        self.asked_sizes.append(request)
        return await super().size(request)


class ScriptedRuns(fakes.FakeRuns):
    """A run that has no outcome for the first looks."""

    def __init__(self, outcome: Outcome, looks: int = 2) -> None:
        self.outcome = outcome
        self.looks_left = looks

    async def recent(self, limit: int, job: str | None = None) -> Sequence[Run]:
        self.looks_left -= 1
        outcome = self.outcome if self.looks_left < 0 else None
        return [Run(7, "collect", NOON, fakes.SESSION, NOON, None, outcome, "why", {"inserted": 1200})]


def sources(
    daemon: ScriptedDaemon | None = None,
    setups: Sequence[Setup] = (),
    *,
    token: str | None = None,
    runs: Any = None,
) -> WebContext:
    """Sources over the scripted daemon."""
    plain = replace(fakes.sources(setups, token=token), daemon=daemon or ScriptedDaemon())
    return plain if runs is None else replace(plain, runs=runs)


@asynccontextmanager
async def serving(folder: Path, over: WebContext) -> AsyncIterator[Path]:
    """The port, bound; gives the configuration that names it."""
    async with application_served(folder, build_application(WebSettings(), over)) as path:
        if over.token is not None and over.token_is_generated:
            (folder / "state").mkdir(exist_ok=True)
            header = f"Authorization: Bearer {over.token.reveal()}\n"
            (folder / "state" / "authorization.header").write_text(header, encoding="ascii")
        yield path


@asynccontextmanager
async def application_served(folder: Path, application: web.Application) -> AsyncIterator[Path]:
    server = TestServer(application, host="127.0.0.1")
    await server.start_server()
    try:
        yield configuration(folder, server.port or 0)
    finally:
        await server.close()


def configuration(folder: Path, port: int, text: str = "") -> Path:
    path = folder / "config.toml"
    path.write_text(f"[web]\nport = {port}\n{text}", encoding="utf-8")
    return path


async def call(*arguments: object) -> int:
    """Run a verb beside the loop that serves it; gives the exit code."""
    return await asyncio.to_thread(main, [str(argument) for argument in arguments])
