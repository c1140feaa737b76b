"""Every secret through every path of a real daemon: none comes out anywhere."""

import asyncio
import logging
import os
import re
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from io import StringIO
from pathlib import Path
from typing import Final

import aiohttp
import msgspec
import psutil
import pytest
import structlog

from tests.acceptance.daemon import Daemon, running, write_configuration
from tests.acceptance.exchange import free_port
from tests.acceptance.quick_market import quick_limits
from tests.fakes.web import sources
from tests.postgres import fresh_address, postgres_server
from vcpd.app.alert_channels import alert_secret_names
from vcpd.core.secrets import Secret
from vcpd.domain.bars import BarSeries
from vcpd.domain.nse_calendar import NSE
from vcpd.runtime import logs
from vcpd.runtime.clock import WallClock
from vcpd.runtime.logs import Redactor
from vcpd.runtime.settings import LogSettings
from vcpd.sandbox.exchange import start_server
from vcpd.sandbox.historical import HistoricalMarket
from vcpd.sandbox.settings import SandboxSettings
from vcpd.web.routes import declared_operation
from vcpd.web.server import route_definitions

__all__ = ["postgres_server"]  # a fixture is taken by importing it

pytestmark = pytest.mark.timeout(300)
READY_S = 90.0
API_KEY: Final = "key"
DEAD: Final = "http://127.0.0.1:9"  # refuses at once
IN_FILES: Final = {
    "kite_api_secret": "s3cr3t-of-kite-7Qx",
    "web_token": "s3cr3t-of-the-web-8Rw",
    "alerts_ntfy_token": "s3cr3t-of-ntfy-2Kd",
    "alerts_webhook_secret": "s3cr3t-that-signs-4Jf",
    "alerts_webhook_url": f"{DEAD}/hook/s3cr3t-hook-5Hg",
    "alerts_mail_password": "s3cr3t-of-mail-6Gh",
    "alerts_ping_url": f"{DEAD}/ping/s3cr3t-ping-3Ns",
}
IN_ENVIRONMENT: Final = {
    "alerts_telegram_token": "123456:s3cr3t-of-telegram-9Tv",
    "alerts_apprise_urls": "json://127.0.0.1:9/s3cr3t-apprise-1Lc",
}
DSN_PASSWORD: Final = "s3cr3t-of-store-0Mb"
SPEAKING: Final = f"""
[log]
level = "debug"
[alerts.telegram]
chat_id = "1"
api_root = "{DEAD}"
[alerts.ntfy]
topic = "vcpd"
server = "{DEAD}"
[alerts.mail]
host = "127.0.0.1"
port = 9
security = "plain"
user = "me"
to = ["me@example.org"]
"""
VERBS: Final = (
    ["show-config", "--json"],
    ["show-config"],
    ["check-config"],
    ["doctor"],
    ["doctor", "--json"],
    ["status", "--json"],
    ["alerts", "test"],
    ["alerts", "--json"],
    ["jobs", "--json"],
    ["setups", "--json"],
)
VALUES: Final = {
    word
    for text in (*IN_FILES.values(), *IN_ENVIRONMENT.values())
    for word in re.findall(r"s3cr3t[\w-]+", text)
} | {DSN_PASSWORD}


def test_every_alert_secret_is_tried_here() -> None:
    assert set(alert_secret_names()) <= IN_FILES.keys() | IN_ENVIRONMENT.keys()


async def test_no_secret_comes_out_of_a_daemon_anywhere(tmp_path: Path, postgres_server: Secret) -> None:
    async with fresh_address(postgres_server) as dsn, _exchange(port := free_port()) as root:
        path = _write(tmp_path, port, root)
        environment = {f"VCPD_{name.upper()}": value for name, value in IN_ENVIRONMENT.items()}
        environment["VCPD_STORE__DSN"] = _with_password(dsn.reveal())
        async with running(path, port, environment=environment) as daemon:
            await daemon.until(lambda status: status["state"] == "ready", READY_S)
            values = VALUES | await _log_in(daemon, tmp_path)
            await daemon.until(lambda status: status["login"]["state"] == "valid", READY_S)
            said = {"processes": _processes(daemon), **await _answers(daemon)}
            for verb in VERBS:
                said[" ".join(verb)] = await _run(path, environment, verb)
            assert await daemon.stop() == 0
            said["the log"] = daemon.log.read_text(encoding="utf-8")
    for event in ("daemon.ready", "run.ended"):
        assert event in said["the log"], event
    for channel in ("telegram", "ntfy", "webhook", "mail", "apprise", "ping"):
        assert channel in said["alerts test"], said["alerts test"]
    leaks = {(where, value) for where, text in said.items() for value in values if value in text}
    assert not leaks


@pytest.mark.parametrize("sink", ["console", "json", "journal"])
def test_no_secret_comes_out_of_any_sink_by_any_kind_of_record(
    sink: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the event, a key, a value deep inside, an error with its traceback, and what nobody catches."""
    stream = StringIO()
    monkeypatch.setattr(logs, "JournalHandler", lambda: logging.StreamHandler(stream))
    settings = msgspec.convert({"sink": sink, "level": "debug"}, LogSettings)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    before = logging.getLogger().handlers[:]
    logs.configure(settings, Redactor(*map(Secret, VALUES)), stream)
    try:
        for value in VALUES:
            _say_in_every_way(value)
    finally:
        _restore(before)
    assert stream.getvalue().count("***") >= 5 * len(VALUES)
    assert not {value for value in VALUES if value in stream.getvalue()}


def _say_in_every_way(value: str) -> None:
    log = structlog.get_logger("vcpd.test")
    log.info("asked " + value)  # noqa: G003 - the event itself holds it
    log.warning("event", plain=value, deep={"list": [{"value": value}]}, error=ValueError(value))
    logging.getLogger("library").warning("sent %s", value)
    try:
        _refuse(value)
    except RuntimeError as error:
        log.exception("failed")
        sys.excepthook(type(error), error, error.__traceback__)


def _refuse(value: str) -> None:
    raise RuntimeError(f"refused {value}")


def _restore(before: list[logging.Handler]) -> None:
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if handler not in before:
            root.removeHandler(handler)
    structlog.reset_defaults()
    logging.captureWarnings(capture=False)


def _write(folder: Path, port: int, root: str) -> Path:
    secrets = folder / "state" / "secrets"
    secrets.mkdir(parents=True, mode=0o700)
    for name, value in IN_FILES.items():
        (secrets / name).write_text(value, encoding="utf-8")
        (secrets / name).chmod(0o600)
    market = f"""
[kite]
api_key = "{API_KEY}"
api_root = "{root}"
login_root = "{root}/connect/login"
"""
    path = write_configuration(folder, port, f"{market}{SPEAKING}{quick_limits()}")
    path.write_text(path.read_text(encoding="utf-8").replace("[daemon]", '[daemon]\nmarket = "kite"', 1))
    return path


@asynccontextmanager
async def _exchange(daemon_port: int) -> AsyncIterator[str]:
    """A simulated exchange that knows the owner's secret and sends logins back to the daemon; its address."""
    settings = SandboxSettings(
        port=0,
        api_key=API_KEY,
        api_secret=IN_FILES["kite_api_secret"],
        redirect_url=f"http://127.0.0.1:{daemon_port}/kite/callback",
    )
    market = HistoricalMarket({"AAA": BarSeries.empty("AAA")}, NSE, {})
    running_exchange = await start_server(settings, market, WallClock())
    try:
        yield running_exchange.url
    finally:
        await running_exchange.close()


def _with_password(dsn: str) -> str:
    return re.sub(r"//([^:@/]+)(:[^@]*)?@", rf"//\1:{DSN_PASSWORD}@", dsn)


async def _log_in(daemon: Daemon, folder: Path) -> set[str]:
    """Log in as a browser does; gives the tokens that nobody may see."""
    async with (
        aiohttp.ClientSession(headers=_token()) as http,
        http.get(f"http://127.0.0.1:{daemon.port}/login") as answer,
    ):
        assert answer.status == 200, await answer.text()
        request_token = answer.url.query["request_token"]
    kept = (folder / "state" / "kite-token.json").read_text(encoding="utf-8")
    access_token = msgspec.json.decode(kept)["access_token"]
    return {request_token, access_token}


def _token() -> Mapping[str, str]:
    return {"Authorization": f"Bearer {IN_FILES['web_token']}"}


async def _answers(daemon: Daemon) -> dict[str, str]:
    """What every question of the port is answered, with headers; a job is run on the way."""
    said = {}
    async with aiohttp.ClientSession(headers={**_token(), "X-Vcpd-Request": "1"}) as http:
        for definition in route_definitions(sources()):
            method, path = definition.method, declared_operation(definition).plain_path
            if path in {"/api/events", "/login"}:  # one never ends, the other redirects to the market
                continue
            url = f"http://127.0.0.1:{daemon.port}{_filled(path)}"
            async with http.request(method, url, allow_redirects=False) as answer:
                said[f"{method} {path}"] = f"{answer.headers}\n{await answer.text(errors='replace')}"
    return said


def _filled(path: str) -> str:
    values = {"symbol": "INFY", "name": "instruments", "picture": "system", "path": "main.js"}
    return re.sub(r"\{(\w+)[^}]*\}", lambda found: values[found.group(1)], path)


def _processes(daemon: Daemon) -> str:
    """Command lines of all, environments of the children: the daemon's own is what its owner gave it."""
    family = daemon.family()
    lines = [" ".join(member.cmdline()) for member in family]
    return "\n".join([*lines, *(_environment(member) for member in family[1:])])


def _environment(process: psutil.Process) -> str:
    try:
        return str(process.environ())
    except psutil.NoSuchProcess:
        return ""


async def _run(path: Path, environment: Mapping[str, str], verb: list[str]) -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "vcpd", *verb, "--config", str(path)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **environment},
    )
    said, _ = await process.communicate()
    assert b"Traceback" not in said, said.decode()
    assert process.returncode in {0, 1}, said.decode()
    return said.decode()
