"""What the doctor has to ask others for: the port, the database, the market."""

import asyncio
import errno
import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import aiohttp

from vcpd.app.channels import Channels, find_alert_secrets
from vcpd.app.market import owner_session
from vcpd.app.storage import STORE_FOLDER
from vcpd.cli.asking import client_of
from vcpd.cli.doctor_checks import AS_OWNER, Finding, Patient
from vcpd.cli.stored import store_secret
from vcpd.domain.errors import ConfigurationError, VcpdError
from vcpd.domain.nse_sessions import NSE
from vcpd.domain.secrets import Secret
from vcpd.runtime.clock import WallClock
from vcpd.store.database import connect
from vcpd.store.embedded import EmbeddedPostgres
from vcpd.store.settings import place_of

REACH_S: Final = 10.0
LARGEST_OFFSET_S: Final = 5.0


async def check_reach(patient: Patient) -> Sequence[Finding]:
    """Port, database and market, one after the other."""
    found = [await asyncio.to_thread(check_port, patient), await check_database(patient)]
    return [*found, *await check_market(patient), await check_channels(patient)]


def check_port(patient: Patient) -> Finding:
    """Whether the port is free, or ours already."""
    web = patient.loaded.configuration.web
    place = f"{web.host}:{web.port}"
    try:
        with socket.create_server((web.host, web.port), family=_family(web.host)):
            return Finding("port", True, f"{place} is free; no daemon runs")
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            return Finding("port", False, f"{place}: {error.strerror}", "set another [web] host or port")
    try:
        status: dict[str, Any] = client_of(patient.loaded).get("/status")
    except VcpdError as error:
        remedy = "stop what listens there, or set another [web] port"
        return Finding("port", False, f"{place} is taken, and not by vcpd: {error}", remedy)
    return Finding("port", True, f"the daemon answers at {place}: {status['state']}, pid {status['pid']}")


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


async def check_database(patient: Patient) -> Finding:
    """Whether the store answers; an embedded one is started for the purpose unless a daemon has it."""
    try:
        own = store_secret(patient.loaded)
        if own is not None:
            return Finding("database", True, await _answer_of(patient, own))
        return await _check_embedded(patient)
    except VcpdError as error:
        remedy = "see the sentence; `vcpd migrate` tries the same and changes nothing else"
        return Finding("database", False, str(error), remedy)
    except PermissionError as error:
        return Finding("database", False, f"{error.filename} cannot be looked into", AS_OWNER)


async def _check_embedded(patient: Patient) -> Finding:
    server = EmbeddedPostgres(patient.state / STORE_FOLDER, patient.loaded.configuration.store)
    if not server.data_folder.exists():
        return Finding("database", None, "the embedded store is made at the first start")
    try:
        running = await server.attach()
        words = await _answer_of(patient, Secret(running or await server.start()))
        return Finding("database", True, f"embedded, {words}{'' if running else ', started for this look'}")
    finally:
        await server.stop()


async def _answer_of(patient: Patient, dsn: Secret) -> str:
    connection = await connect(dsn, patient.loaded.configuration.store)
    try:
        version = connection.get_server_version()
        return f"PostgreSQL {version.major}.{version.minor} answers at {place_of(dsn)}"
    finally:
        await connection.close()


async def check_market(patient: Patient) -> Sequence[Finding]:
    """Whether the market can be reached, agrees on the time, and lets us in."""
    market = patient.loaded.configuration.daemon.market
    if market == "kite":
        return await _check_kite(patient)
    if market == "bhavcopy":
        return await _check_bulletins(patient)
    return [Finding("market", True, "simulated: nothing to reach")]


async def check_channels(patient: Patient) -> Finding:
    """Whether every channel that was begun has all it needs; nothing is sent."""
    configuration = patient.loaded.configuration
    channels = Channels.open(WallClock())
    try:
        secrets = await asyncio.to_thread(find_alert_secrets, patient.state)
        plan = channels.plan(configuration.alerts, configuration.schedule.calendar(NSE).zone, secrets)
    except VcpdError as error:
        return Finding("alerts", False, str(error), "see docs/alerts.md")
    finally:
        await channels.close()
    if plan.missing:
        return Finding("alerts", False, "; ".join(plan.missing), "complete it, see docs/alerts.md")
    names = [line.channel.name for line in plan.open_lines]
    if not names:
        return Finding("alerts", None, "no channel is set up: nobody is told", "see docs/alerts.md")
    return Finding("alerts", True, f"{', '.join(names)}; `vcpd alerts test` tries them")


async def _check_kite(patient: Patient) -> Sequence[Finding]:
    configuration = patient.loaded.configuration
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=REACH_S)) as http:
        found = await _knock(http, configuration.kite.api_root)
        try:
            session = owner_session(
                configuration.kite, configuration.limits, WallClock(), patient.state, http
            )
        except ConfigurationError as error:
            return [*found, Finding("login", False, "; ".join(error.problems), "correct the secret's file")]
        status = session.status()
    if status.login_due:
        remedy = "`vcpd login`, or /login at the daemon's port"
        return [*found, Finding("login", False, status.reason, remedy)]
    return [*found, Finding("login", True, f"{status.user_id}, until {status.expires_at:%Y-%m-%d %H:%M} UTC")]


async def _check_bulletins(patient: Patient) -> Sequence[Finding]:
    settings = patient.loaded.configuration.bhavcopy
    if not settings.folder:
        headers = {"User-Agent": settings.user_agent}
        timeout = aiohttp.ClientTimeout(total=REACH_S)
        async with aiohttp.ClientSession(timeout=timeout, headers=headers) as http:
            return await _knock(http, settings.archive_root)
    folder = patient.loaded.folder / settings.folder
    if folder.is_dir():
        return [Finding("market", True, f"bulletins from {folder}")]
    return [Finding("market", False, f"{folder} is no folder", "correct [bhavcopy] folder")]


async def _knock(http: aiohttp.ClientSession, root: str) -> list[Finding]:
    """Any answer will do: it shows that name, route, TLS and proxy are in order."""
    try:
        async with http.get(root) as answer:
            said = answer.headers.get("Date")
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        words = str(error) or type(error).__name__
        remedy = "check network, name resolution and firewall; is a proxy needed?"
        return [Finding("market", False, f"{root} cannot be reached: {words}", remedy)]
    return [Finding("market", True, f"{root} answers"), *_offset(said)]


def _offset(said: str | None) -> list[Finding]:
    if said is None:
        return []
    try:
        theirs: datetime = parsedate_to_datetime(said)
    except ValueError:
        return [Finding("clock", None, f"the market's own is unreadable: {said}")]
    theirs = theirs if theirs.tzinfo else theirs.replace(tzinfo=UTC)
    offset_s = (WallClock().now() - theirs).total_seconds()
    if abs(offset_s) <= LARGEST_OFFSET_S:
        return [Finding("clock", True, "agrees with the market's")]
    text = f"{abs(offset_s):.0f} s {'ahead of' if offset_s > 0 else 'behind'} the market's"
    return [Finding("clock", False, text, "set the clock: `timedatectl set-ntp true`")]
