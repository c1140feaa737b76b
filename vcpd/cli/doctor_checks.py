"""Checks of `vcpd doctor`: calendar, clock, disk, files, port, database, market, channels, engine."""

import asyncio
import contextlib
import errno
import os
import shutil
import socket
import stat
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import aiohttp
import msgspec

from vcpd.app.alert_channels import ChannelFactory, alert_secret_names, find_alert_secrets
from vcpd.app.credentials import find_secret
from vcpd.app.market import user_session
from vcpd.app.storage import STORE_FOLDER
from vcpd.bhavcopy.archive import report_file
from vcpd.cli.client import client_at
from vcpd.cli.store import store_dsn_of
from vcpd.config import LoadedConfiguration
from vcpd.config_file import DaemonAddress
from vcpd.core.errors import BadInputError, ConfigurationError, VcpdError
from vcpd.core.secrets import Secret
from vcpd.runtime.clock import WallClock
from vcpd.runtime.engine_status import local_status
from vcpd.runtime.engine_workers import check_engine, look_at_cluster
from vcpd.runtime.settings import DASK
from vcpd.store.database import IntegrityReport, check_integrity, connect
from vcpd.store.embedded import EmbeddedPostgres
from vcpd.store.settings import dsn_location

GIB: Final = 2**30
MIN_FREE_BYTES: Final = GIB  # 2,500 symbols of five years, write-ahead log and snapshots included
RUN_AS_OWNER_HINT: Final = "run as root, or as the user who owns it"
GROUP_AND_OTHER_BITS: Final = stat.S_IRWXG | stat.S_IRWXO
SECRET_FILES: Final = ("kite_api_secret", "web_token", "store_dsn")
TOKEN_FILES: Final = ("kite-token.json", "sandbox-token.json")
PROBE_TIMEOUT_S: Final = 10.0
ENGINE_REMEDY: Final = (
    "see docs/scale-out.md; until then local workers compute, unless [dask] fallback is false"
)
ANSWERS: Final = "answers"
MAX_CLOCK_OFFSET_S: Final = 5.0


class Finding(msgspec.Struct, frozen=True):
    """Result of one check; `good` is None where nothing can be checked yet."""

    name: str
    good: bool | None
    text: str
    remedy: str = ""


class DoctorContext(msgspec.Struct, frozen=True):
    """The configuration to check, and the instant (aware UTC) of the check."""

    loaded: LoadedConfiguration
    now: datetime
    deep: bool = False  # read everything that is stored

    @property
    def state_dir(self) -> Path:
        return self.loaded.state_dir


def check_machine(context: DoctorContext) -> Iterator[Finding]:
    """All checks that need this machine only."""
    yield check_calendar(context)
    yield check_clock(context)
    yield check_state(context)
    yield check_disk(context)
    yield from check_secret_files(context)
    yield check_credentials(context)


def check_calendar(context: DoctorContext) -> Finding:
    """Whether the table of sessions reaches far enough."""
    try:
        calendar = context.loaded.configuration.calendar
    except BadInputError as error:
        return Finding("calendar", False, str(error), "correct [schedule] extra_holidays and extra_sessions")
    warning = calendar.warning(calendar.local_date(context.now))
    if warning is None:
        return Finding("calendar", True, f"{calendar.name}, valid until {calendar.valid_until}")
    remedy = (
        "no action needed: vcpd learns the days from the market; the exchange's list adds them in advance"
    )
    return Finding("calendar", None, warning, remedy)


def check_clock(context: DoctorContext) -> Finding:
    """Whether the machine's date can be true at all."""
    local = context.now.astimezone(ZoneInfo(context.loaded.configuration.time_zone))
    newest = _installation_time()
    if context.now.timestamp() < newest:
        text = f"the clock says {local:%Y-%m-%d %H:%M}, which is before this vcpd was installed"
        return Finding("clock", False, text, "set the clock: `timedatectl set-ntp true`")
    return Finding("clock", True, f"{local:%a %Y-%m-%d %H:%M:%S %Z}")


def _installation_time() -> float:
    return Path(__file__).stat().st_mtime


def check_state(context: DoctorContext) -> Finding:
    """Whether the state directory is there, ours and private."""
    folder = context.state_dir
    try:
        is_there = folder.exists()
    except PermissionError:
        return Finding("state", False, f"{folder} cannot be read", RUN_AS_OWNER_HINT)
    if not is_there:
        parent = _nearest_existing(folder)
        good = os.access(parent, os.W_OK | os.X_OK)
        text = f"{folder} does not exist yet; {'it can be created' if good else f'{parent} is not writable'}"
        remedy = "" if good else f"make {parent} writable, or set another [daemon] state_dir"
        return Finding("state", None if good else False, text, remedy)
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        remedy = f"run as the user who owns it, or `chown -R $USER {folder}`"
        return Finding("state", False, f"{folder} is not writable for this user", remedy)
    if folder.stat().st_mode & GROUP_AND_OTHER_BITS:
        return Finding("state", False, f"other users may enter {folder}", f"chmod 700 {folder}")
    return Finding("state", True, str(folder))


def _nearest_existing(folder: Path) -> Path:
    """The folder, or the closest above it, that is there for us."""
    for path in (folder, *folder.parents):
        with contextlib.suppress(PermissionError):
            if path.exists():
                return path
    return Path("/")


def check_disk(context: DoctorContext) -> Finding:
    """Check that the disk has space for a year of growth."""
    folder = _nearest_existing(context.state_dir)
    free = shutil.disk_usage(folder).free
    text = f"{free / GIB:.1f} GiB free at {folder}"
    if free >= MIN_FREE_BYTES:
        return Finding("disk", True, text)
    return Finding("disk", False, text, "free some space: the store needs at least 1 GiB")


def check_secret_files(context: DoctorContext) -> Iterator[Finding]:
    """Check that no other user can read the secrets."""
    folder = context.state_dir / "secrets"
    names = (*SECRET_FILES, *alert_secret_names())
    found = [folder / name for name in names] + [context.state_dir / name for name in TOKEN_FILES]
    try:
        seen = [(path, path.stat().st_mode) for path in found if path.is_file()]
    except OSError as error:
        yield Finding("secret files", False, f"{folder} cannot be read ({error.strerror})", RUN_AS_OWNER_HINT)
        return
    open_ones = [path for path, mode in seen if mode & GROUP_AND_OTHER_BITS]
    for path in open_ones:
        yield Finding("secret files", False, f"other users may read {path}", f"chmod 600 {path}")
    if not open_ones:
        yield Finding("secret files", True, f"{len(seen)} files, private")


def check_credentials(context: DoctorContext) -> Finding:
    """Whether what the market's login needs is there."""
    configuration = context.loaded.configuration
    if configuration.daemon.market != "kite":
        return Finding("credentials", True, f"the market `{configuration.daemon.market}` needs none")
    try:
        secret = find_secret("kite_api_secret", context.state_dir / "secrets", os.environ)
    except ConfigurationError as error:
        return Finding("credentials", False, "; ".join(error.problems), "see docs/kite-login.md")
    missing = [
        name
        for name, value in (("[kite] api_key", configuration.kite.api_key), ("kite_api_secret", secret))
        if not value
    ]
    if missing:
        remedy = f"set the key; put the secret into {context.state_dir}/secrets/kite_api_secret, mode 0600"
        return Finding("credentials", False, f"missing: {' and '.join(missing)}", remedy)
    callback = context.loaded.configuration.web.callback_url
    return Finding(
        "credentials", True, f"API key and secret are present; the app's redirect URL should be {callback}"
    )


async def check_services(context: DoctorContext) -> Sequence[Finding]:
    """Port, database, market, channels and engine, one after the other."""
    found = [await asyncio.to_thread(check_port, context), await check_database(context)]
    engine = await asyncio.to_thread(find_engine, context)
    return [*found, *await check_market(context), await check_channels(context), engine]


def find_engine(context: DoctorContext) -> Finding:
    """Whether the cluster of [dask] answers and its workers have our versions; a note where none is used."""
    configuration = context.loaded.configuration
    is_used = configuration.workers.engine == DASK
    if not is_used and configuration.dask.scheduler is None:
        return Finding("engine", True, local_status(configuration.workers.count).text)
    try:
        check_engine(configuration.workers)
        status = look_at_cluster(configuration.dask)
    except (VcpdError, ImportError) as error:
        return Finding("engine", False if is_used else None, str(error), ENGINE_REMEDY)
    if status.problem:
        return Finding("engine", False if is_used else None, status.text, ENGINE_REMEDY)
    return Finding("engine", True, status.text)


def check_port(context: DoctorContext) -> Finding:
    """Whether the port is free, or ours already."""
    web = context.loaded.configuration.web
    place = f"{web.host}:{web.port}"
    try:
        with socket.create_server((web.host, web.port), family=_family(web.host)):
            return Finding("port", True, f"{place} is free; no daemon runs")
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            return Finding("port", False, f"{place}: {error.strerror}", "set another [web] host or port")
    try:
        address = DaemonAddress(web.local_host, web.port, context.loaded.state_dir)
        status: dict[str, Any] = client_at(address).get("/status")
    except VcpdError as error:
        remedy = "stop what listens there, or set another [web] port"
        return Finding("port", False, f"{place} is used by another program: {error}", remedy)
    return Finding("port", True, f"the daemon answers at {place}: {status['state']}, pid {status['pid']}")


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


async def check_database(context: DoctorContext) -> Finding:
    """Check that the database answers; the embedded server is started unless a daemon runs it."""
    try:
        own = store_dsn_of(context.loaded)
        if own is not None:
            return Finding("database", True, await _server_text(context, own))
        return await _check_embedded(context)
    except VcpdError as error:
        remedy = "see the reason; `vcpd migrate` tries the same and changes nothing else"
        return Finding("database", False, str(error), remedy)
    except PermissionError as error:
        return Finding("database", False, f"{error.filename} cannot be read", RUN_AS_OWNER_HINT)


async def _check_embedded(context: DoctorContext) -> Finding:
    server = EmbeddedPostgres(context.state_dir / STORE_FOLDER, context.loaded.configuration.store)
    if not server.data_folder.exists():
        return Finding("database", None, "the embedded store is created at the first start")
    try:
        running = await server.attach()
        words = await _server_text(context, Secret(running or await server.start()))
        return Finding("database", True, f"embedded, {words}{'' if running else ', started for this check'}")
    finally:
        await server.stop()


async def _server_text(context: DoctorContext, dsn: Secret) -> str:
    connection = await connect(dsn, context.loaded.configuration.store)
    try:
        version = connection.get_server_version()
        text = f"PostgreSQL {version.major}.{version.minor} answers at {dsn_location(dsn)}"
        return f"{text}; {_integrity_text(await check_integrity(connection))}" if context.deep else text
    finally:
        await connection.close()


def _integrity_text(report: IntegrityReport) -> str:
    checked = f"all rows of {report.tables} tables can be read"
    if report.indexes is None:
        return f"{checked}; indexes were not checked (the extension amcheck is not installed)"
    return f"{checked}, {report.indexes} indexes are sound"


async def check_market(context: DoctorContext) -> Sequence[Finding]:
    """Whether the market can be reached, agrees on the time, and lets us in."""
    market = context.loaded.configuration.daemon.market
    if market == "kite":
        return await _check_kite(context)
    if market == "bhavcopy":
        return await _check_bhavcopy(context)
    return [Finding("market", True, "simulated: nothing to reach")]


async def check_channels(context: DoctorContext) -> Finding:
    """Whether every channel that was begun has all it needs; nothing is sent."""
    configuration = context.loaded.configuration
    channels = ChannelFactory.open(WallClock())
    try:
        secrets = await asyncio.to_thread(find_alert_secrets, context.state_dir)
        plan = channels.plan(configuration.alerts, configuration.calendar.zone, secrets)
    except VcpdError as error:
        return Finding("alerts", False, str(error), "see docs/alerts.md")
    finally:
        await channels.close()
    if plan.missing:
        return Finding("alerts", False, "; ".join(plan.missing), "complete it, see docs/alerts.md")
    names = [line.channel.name for line in plan.active_bindings]
    if not names:
        return Finding("alerts", None, "no alert channel configured", "see docs/alerts.md")
    return Finding("alerts", True, f"{', '.join(names)}; `vcpd alerts test` tries them")


async def _check_kite(context: DoctorContext) -> Sequence[Finding]:
    configuration = context.loaded.configuration
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PROBE_TIMEOUT_S)) as http:
        found = await _probe(http, configuration.kite.api_root)
        try:
            session = user_session(configuration, WallClock(), context.state_dir, http)
        except ConfigurationError as error:
            return [*found, Finding("login", False, "; ".join(error.problems), "correct the secret's file")]
        status = session.status()
    if status.login_due:
        remedy = "`vcpd login`, or /login at the daemon's port"
        return [*found, Finding("login", False, status.reason, remedy)]
    return [*found, Finding("login", True, f"{status.user_id}, until {status.expires_at:%Y-%m-%d %H:%M} UTC")]


async def _check_bhavcopy(context: DoctorContext) -> Sequence[Finding]:
    settings = context.loaded.configuration.bhavcopy
    if not settings.folder:
        headers = {"User-Agent": settings.user_agent}
        timeout = aiohttp.ClientTimeout(total=PROBE_TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout, headers=headers) as http:
            found = await _probe(http, settings.archive_root)
            return [*found, await _check_action_sources(http, context)]
    folder = context.loaded.folder / settings.folder
    if folder.is_dir():
        return [Finding("market", True, f"bhavcopy files from {folder}")]
    return [Finding("market", False, f"{folder} is not a folder", "correct [bhavcopy] folder")]


async def _check_action_sources(http: aiohttp.ClientSession, context: DoctorContext) -> Finding:
    """Which source of corporate actions answers: the archive's daily reports, or the site's list."""
    configuration = context.loaded.configuration
    settings, calendar = configuration.bhavcopy, configuration.calendar
    session = calendar.previous(calendar.last_session_at(WallClock().now()))  # published for certain
    report = report_file(session)
    reported = await _answer_to(http, f"{settings.archive_root.rstrip('/')}/{report.path}")
    text = f"daily reports ({report.name}): {reported}"
    if settings.actions_url:
        listed = await _answer_to(http, settings.actions_url.format(first=session, last=session))
        text += f"; the site's list: {listed}"
    else:
        listed = "not requested"
    if reported == ANSWERS:
        return Finding("corporate actions", True, f"{text}; the daily reports are used")
    remedy = (
        "put the exchange's list (CF-CA-equities-..csv) into state/bhavcopy/actions, see docs/bhavcopy.md"
    )
    if listed == ANSWERS:
        return Finding("corporate actions", True, f"{text}; the site's list is used")
    return Finding("corporate actions", False, text, remedy)


async def _answer_to(http: aiohttp.ClientSession, url: str) -> str:
    try:
        async with http.get(url, allow_redirects=False) as answer:
            return ANSWERS if answer.status == HTTPStatus.OK else f"refused with {answer.status}"
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        return f"cannot be reached ({type(error).__name__})"


async def _probe(http: aiohttp.ClientSession, root: str) -> list[Finding]:
    """Any answer will do: it shows that name, route, TLS and proxy are in order."""
    try:
        async with http.get(root) as answer:
            said = answer.headers.get("Date")
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        words = str(error) or type(error).__name__
        remedy = "check network, name resolution and firewall, and whether a proxy is needed"
        return [Finding("market", False, f"{root} cannot be reached: {words}", remedy)]
    return [Finding("market", True, f"{root} answers"), *_check_clock_offset(said)]


def _check_clock_offset(said: str | None) -> list[Finding]:
    if said is None:
        return []
    try:
        theirs: datetime = parsedate_to_datetime(said)
    except ValueError:
        return [Finding("clock", None, f"the market's own is unreadable: {said}")]
    theirs = theirs if theirs.tzinfo else theirs.replace(tzinfo=UTC)
    offset_s = (WallClock().now() - theirs).total_seconds()
    if abs(offset_s) <= MAX_CLOCK_OFFSET_S:
        return [Finding("clock", True, "agrees with the market's")]
    text = f"{abs(offset_s):.0f} s {'ahead of' if offset_s > 0 else 'behind'} the market's"
    return [Finding("clock", False, text, "set the clock: `timedatectl set-ntp true`")]
