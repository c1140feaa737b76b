"""Log handler for the native protocol of systemd-journald."""

import errno
import fcntl
import logging
import os
import re
import socket
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TextIO

JOURNAL_SOCKET: Final = Path("/run/systemd/journal/socket")
IDENTIFIER: Final = "vcpd"
_LENGTH: Final = struct.Struct("<Q")
_NOT_ALLOWED: Final = re.compile(r"[^A-Z0-9_]")
_PRIORITIES: Final = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
_RESERVED_KEYS: Final = frozenset({"event", "level", "timestamp", "exception"})  # have a field of their own


def is_journal_stream(stream: TextIO, journal_stream: str | None) -> bool:
    """Whether `stream` is the one that JOURNAL_STREAM (device:inode) names."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return journal_stream == f"{status.st_dev}:{status.st_ino}"


def journal_fields(event: Mapping[str, Any]) -> dict[str, str]:
    """A masked event as journal fields: MESSAGE, PRIORITY, and VCPD_<KEY> for each key."""
    details = {key: value for key, value in event.items() if key not in _RESERVED_KEYS}
    name = str(event.get("event", ""))
    shown = " ".join(f"{key}={value}" for key, value in details.items())
    fields = {
        "MESSAGE": "\n".join(filter(None, [f"{name} {shown}".rstrip(), event.get("exception")])),
        "PRIORITY": str(_PRIORITIES.get(str(event.get("level", "info")), 6)),
        "SYSLOG_IDENTIFIER": IDENTIFIER,
        "VCPD_EVENT": name,
    }
    return fields | {field_name(key): str(value) for key, value in details.items()}


def field_name(key: str) -> str:
    return ("VCPD_" + _NOT_ALLOWED.sub("_", key.upper()))[:64]


def encode(fields: Mapping[str, str]) -> bytes:
    """KEY=value, or KEY, length and value where the value has lines."""
    return b"".join(_encode_field(name, value.encode(errors="replace")) for name, value in fields.items())


def _encode_field(name: str, value: bytes) -> bytes:
    if b"\n" in value:
        return name.encode() + b"\n" + _LENGTH.pack(len(value)) + value + b"\n"
    return name.encode() + b"=" + value + b"\n"


class JournalHandler(logging.Handler):
    """Sends records without ever waiting; what the journal cannot take at once is counted and dropped."""

    def __init__(self, address: Path = JOURNAL_SOCKET) -> None:
        super().__init__()
        self.dropped = 0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.connect(str(address))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._send(self.format(record).encode("utf-8", "surrogateescape"))
        except OSError:
            self.dropped += 1
        except Exception:  # noqa: BLE001 - a record must never stop the program
            self.handleError(record)

    def _send(self, datagram: bytes) -> None:
        try:
            self._socket.send(datagram)
        except OSError as error:
            if error.errno != errno.EMSGSIZE:
                raise
            self._send_as_file(datagram)

    def _send_as_file(self, datagram: bytes) -> None:
        """Too large for a datagram: the protocol wants a sealed file in memory instead."""
        file = os.memfd_create("vcpd-record", os.MFD_ALLOW_SEALING)
        try:
            os.write(file, datagram)
            _seal(file)
            socket.send_fds(self._socket, [b""], [file])
        finally:
            os.close(file)

    def close(self) -> None:
        self._socket.close()
        super().close()


def _seal(file: int) -> None:
    seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
    fcntl.fcntl(file, fcntl.F_ADD_SEALS, seals)
