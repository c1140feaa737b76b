"""What the doctor sees without asking anybody: calendar, clock, disk, files and their permissions."""

import contextlib
import os
import shutil
import stat
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from vcpd.app.channels import ALERT_SECRETS
from vcpd.app.credentials import find_secret
from vcpd.cli.stored import state_folder
from vcpd.config import Loaded
from vcpd.domain.errors import BadInputError, ConfigurationError
from vcpd.domain.nse_sessions import NSE

GIB: Final = 2**30
LEAST_FREE_BYTES: Final = GIB  # 2,500 symbols of five years, write-ahead log and snapshots included
AS_OWNER: Final = "run as root, or as the user who owns it"
OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
SECRETS: Final = ("kite_api_secret", "web_token", "store_dsn", *ALERT_SECRETS)
TOKEN_FILES: Final = ("kite-token.json", "sandbox-token.json")


class Finding(msgspec.Struct, frozen=True):
    """One thing looked at; `good` is None where there is nothing to judge yet."""

    name: str
    good: bool | None
    text: str
    remedy: str = ""


class Patient(msgspec.Struct, frozen=True):
    """The configuration under examination, and the instant (aware UTC) at which it is."""

    loaded: Loaded
    now: datetime

    @property
    def state(self) -> Path:
        return state_folder(self.loaded)


def check_machine(patient: Patient) -> Iterator[Finding]:
    """Everything that can be seen on this machine alone."""
    yield check_calendar(patient)
    yield check_clock(patient)
    yield check_state(patient)
    yield check_disk(patient)
    yield from check_secret_files(patient)
    yield check_credentials(patient)


def check_calendar(patient: Patient) -> Finding:
    """Whether the table of sessions reaches far enough."""
    try:
        calendar = patient.loaded.configuration.schedule.calendar(NSE)
    except BadInputError as error:
        return Finding("calendar", False, str(error), "correct [schedule] extra_holidays and extra_sessions")
    warning = calendar.warning(calendar.local_date(patient.now))
    if warning is None:
        return Finding("calendar", True, f"{calendar.name}, valid until {calendar.valid_until}")
    ended = not calendar.covers(calendar.local_date(patient.now))
    remedy = "[schedule] extra_holidays and calendar_valid_until, or a newer vcpd"
    return Finding("calendar", False if ended else None, warning, remedy)


def check_clock(patient: Patient) -> Finding:
    """Whether the machine's date can be true at all."""
    local = patient.now.astimezone(ZoneInfo(patient.loaded.configuration.schedule.time_zone))
    newest = _newest_own_file()
    if patient.now.timestamp() < newest:
        text = f"the clock says {local:%Y-%m-%d %H:%M}, which is before this vcpd was installed"
        return Finding("clock", False, text, "set the clock: `timedatectl set-ntp true`")
    return Finding("clock", True, f"{local:%a %Y-%m-%d %H:%M:%S %Z}")


def _newest_own_file() -> float:
    return Path(__file__).stat().st_mtime


def check_state(patient: Patient) -> Finding:
    """Whether the state directory is there, ours and private."""
    folder = patient.state
    try:
        is_there = folder.exists()
    except PermissionError:
        return Finding("state", False, f"{folder} cannot be looked into", AS_OWNER)
    if not is_there:
        parent = _nearest(folder)
        good = os.access(parent, os.W_OK | os.X_OK)
        text = f"{folder} is not there yet; {'it can be made' if good else f'{parent} is not writable'}"
        remedy = "" if good else f"make {parent} writable, or set another [daemon] state_dir"
        return Finding("state", None if good else False, text, remedy)
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        remedy = f"run as the user who owns it, or `chown -R $USER {folder}`"
        return Finding("state", False, f"{folder} is not ours to write", remedy)
    if folder.stat().st_mode & OTHERS:
        return Finding("state", False, f"others may enter {folder}", f"chmod 700 {folder}")
    return Finding("state", True, str(folder))


def _nearest(folder: Path) -> Path:
    """The folder, or the closest above it, that is there for us."""
    for one in (folder, *folder.parents):
        with contextlib.suppress(PermissionError):
            if one.exists():
                return one
    return Path("/")


def check_disk(patient: Patient) -> Finding:
    """Whether there is room for a year of growth."""
    folder = _nearest(patient.state)
    free = shutil.disk_usage(folder).free
    text = f"{free / GIB:.1f} GiB free at {folder}"
    if free >= LEAST_FREE_BYTES:
        return Finding("disk", True, text)
    return Finding("disk", False, text, "free some space: the store wants at least 1 GiB")


def check_secret_files(patient: Patient) -> Iterator[Finding]:
    """Whether nobody else may read what is secret."""
    folder = patient.state / "secrets"
    found = [folder / name for name in SECRETS] + [patient.state / name for name in TOKEN_FILES]
    try:
        seen = [(path, path.stat().st_mode) for path in found if path.is_file()]
    except OSError as error:
        yield Finding("secret files", False, f"{folder} cannot be looked into ({error.strerror})", AS_OWNER)
        return
    open_ones = [path for path, mode in seen if mode & OTHERS]
    for path in open_ones:
        yield Finding("secret files", False, f"others may read {path}", f"chmod 600 {path}")
    if not open_ones:
        yield Finding("secret files", True, f"{len(seen)} files, private")


def check_credentials(patient: Patient) -> Finding:
    """Whether what the market's login needs is there."""
    configuration = patient.loaded.configuration
    if configuration.daemon.market != "kite":
        return Finding("credentials", True, f"the market `{configuration.daemon.market}` needs none")
    try:
        secret = find_secret("kite_api_secret", patient.state / "secrets", os.environ)
    except ConfigurationError as error:
        return Finding("credentials", False, "; ".join(error.problems), "see docs/kite-login.md")
    missing = [
        name
        for name, value in (("[kite] api_key", configuration.kite.api_key), ("kite_api_secret", secret))
        if not value
    ]
    if missing:
        remedy = f"set the key; put the secret into {patient.state}/secrets/kite_api_secret, mode 0600"
        return Finding("credentials", False, f"missing: {' and '.join(missing)}", remedy)
    return Finding("credentials", True, "API key and secret are there")
