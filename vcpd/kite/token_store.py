"""Stores the access token on disk, mode 0600, replaced atomically."""

import os
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from vcpd.core.atomic_file import write_atomic
from vcpd.core.errors import PermanentError
from vcpd.core.secrets import Secret
from vcpd.kite.wire import decode_secret

OWNER_ONLY_MODE = 0o600
GROUP_AND_OTHERS_MASK = 0o077


class SessionToken(msgspec.Struct, frozen=True, kw_only=True):
    """What a login gave, and until when it holds. Instants are aware UTC datetimes."""

    api_key: str
    access_token: Secret
    user_id: str
    login_at: datetime
    expires_at: datetime


class TokenFile:
    """One token in one file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def stamp(self) -> tuple[int, int] | None:
        """Changes when the file does; None where there is none."""
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns

    def read(self) -> SessionToken | None:
        """The stored token, or None. PermanentError where others may read it, or it cannot be read."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise PermanentError(f"{self.path}: the token cannot be read: {error.strerror}") from None
        with open(descriptor, "rb") as file:  # noqa: PTH123  # a descriptor, so that the mode is this file's
            if os.fstat(descriptor).st_mode & GROUP_AND_OTHERS_MASK:
                raise PermanentError(
                    f"{self.path}: others may read this token; delete the file and log in again"
                )
            return self._decode(file.read())

    def write(self, token: SessionToken) -> None:
        """Replace the file in one step. UnavailableError where the folder cannot be written."""
        content = msgspec.json.encode(token, enc_hook=_encode_secret)
        write_atomic(self.path, content, mode=OWNER_ONLY_MODE, folder_mode=0o700)

    def _decode(self, content: bytes) -> SessionToken:
        try:
            token = msgspec.json.decode(content, type=SessionToken, dec_hook=decode_secret)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise PermanentError(f"{self.path}: not a token; delete the file and log in again") from None
        if token.login_at.tzinfo is None or token.expires_at.tzinfo is None:
            raise PermanentError(
                f"{self.path}: instants without a time zone; delete the file and log in again"
            )
        return token


def _encode_secret(value: Any) -> str:
    if isinstance(value, Secret):
        return value.reveal()
    raise NotImplementedError(type(value).__name__)
