"""Find secrets: service manager credentials, private files, then the environment; make the port's token."""

import contextlib
import os
import secrets
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from vcpd.core.atomic_file import write_atomic
from vcpd.core.errors import ConfigurationError
from vcpd.core.secrets import Secret

ENVIRONMENT_PREFIX: Final = "VCPD_"
GROUP_AND_OTHERS_MODE: Final = stat.S_IRWXG | stat.S_IRWXO
SECRET_NAMES: Final = ("kite_api_secret", "store_dsn", "web_token")
DSN_SETTING: Final = "VCPD_STORE__DSN"
SYSTEM_CREDENTIAL_FOLDER: Final = Path("/etc/credstore")  # from where the service manager hands them out
HEADER_FILE: Final = "authorization.header"
HEADER_PREFIX: Final = "Authorization: Bearer "
PASSWORD_HASH_FILE: Final = "page-password.hash"  # noqa: S105 - the name of a file
TOKEN_BYTES: Final = 32
PRIVATE_MODE: Final = 0o600
_removed_values: dict[str, str] = {}


def find_secret(name: str, folder: Path, environment: Mapping[str, str]) -> Secret | None:
    """The secret `name`, or None where it is not given.

    Looked for in $CREDENTIALS_DIRECTORY, in `folder`, in the system's store (files of mode 0600; the
    last for root's own commands) and in VCPD_NAME. Raises ConfigurationError for a file that others may
    read.
    """
    manager = environment.get("CREDENTIALS_DIRECTORY")
    if manager and (path := Path(manager) / name).is_file():
        return _read_secret(path)
    for path in (folder / name, SYSTEM_CREDENTIAL_FOLDER / f"vcpd.{name}"):
        if _exists(path):
            _check_private(path)
            return _read_secret(path)
    key = f"{ENVIRONMENT_PREFIX}{name.upper()}"
    value = (environment.get(key) or _removed_values.get(key, "")).strip()
    return Secret(value) if value else None


def remove_secrets_from_environment(names: Iterable[str]) -> None:
    """Remove the named secrets from our environment: `find_secret` still knows them, no child does.

    The setting [store] dsn holds a password too: given by the environment, it becomes the secret `store_dsn`.
    """
    if (dsn := os.environ.pop(DSN_SETTING, "")) != "":
        os.environ.setdefault(f"{ENVIRONMENT_PREFIX}STORE_DSN", dsn)
    for name in names:
        key = f"{ENVIRONMENT_PREFIX}{name.upper()}"
        if key in os.environ:
            _removed_values[key] = os.environ.pop(key)


def _exists(path: Path) -> bool:
    """Whether the file exists; one in a folder without permission counts as missing."""
    try:
        return path.is_file()
    except PermissionError:
        return False


def _read_secret(path: Path) -> Secret:
    try:
        text = path.read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError([f"{path}: the secret cannot be read: {type(error).__name__}"]) from None
    if not text:
        raise ConfigurationError([f"{path}: expected a secret, was empty"])
    return Secret(text)


def check_private(folder: Path) -> None:
    """ConfigurationError for a folder that others may write to: it holds secrets and bars."""
    if folder.stat().st_mode & stat.S_IWOTH:
        raise ConfigurationError(
            [f"daemon.state_dir: any user may write to {folder}; run `chmod 700 {folder}`"]
        )


def _check_private(path: Path) -> None:
    if path.stat().st_mode & GROUP_AND_OTHERS_MODE:
        raise ConfigurationError([f"{path}: others may read this secret; run `chmod 600 {path}`"])


def generated_token(state_dir: Path) -> Secret:
    """The token of POST requests where the user gives none: made at the first start, then kept.

    It is stored as a whole header, so that `curl -H @FILE` sends it. UnavailableError where the disk fails.
    """
    found = read_generated_token(state_dir)
    if found is not None:
        return found
    token = secrets.token_urlsafe(TOKEN_BYTES)
    write_private(state_dir / HEADER_FILE, f"{HEADER_PREFIX}{token}\n")
    return Secret(token)


def read_generated_token(state_dir: Path) -> Secret | None:
    """The stored token; None where there is none, or where this user may not read it."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        text = (state_dir / HEADER_FILE).read_text(encoding="ascii").strip()
        if text.startswith(HEADER_PREFIX):
            return Secret(text.removeprefix(HEADER_PREFIX))
    return None


def read_password_hash(state_dir: Path) -> str | None:
    """The hash of the page's password; None where none is set."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return (state_dir / PASSWORD_HASH_FILE).read_text(encoding="ascii").strip() or None
    return None


def write_private(path: Path, text: str) -> None:
    """Replace a file that only its owner may read. UnavailableError where the disk fails."""
    write_atomic(path, text.encode())
    path.chmod(PRIVATE_MODE)
