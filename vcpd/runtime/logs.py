"""Logging: structlog events, redacted, written to console, journal or JSON lines.

An event has a name that never changes, and key-values; a run's records carry its `run` and `job`. The journal
is written in the native protocol of systemd-journald.
"""

import errno
import fcntl
import logging
import os
import re
import socket
import struct
import sys
import threading
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Protocol
from urllib.parse import quote, quote_plus

import structlog
from structlog.stdlib import ProcessorFormatter

from vcpd.core.secrets import MASK, Secret
from vcpd.runtime.settings import Level, LogSettings

JOURNAL_SOCKET: Final = Path("/run/systemd/journal/socket")
IDENTIFIER: Final = "vcpd"
_LENGTH: Final = struct.Struct("<Q")
_NOT_ALLOWED: Final = re.compile(r"[^A-Z0-9_]")
_PRIORITIES: Final = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
_RESERVED_KEYS: Final = frozenset({"event", "level", "timestamp", "exception"})  # have a field of their own


class LogStream(Protocol):
    """A text stream to log to, such as standard error."""

    def write(self, text: str, /) -> int: ...
    def flush(self) -> None: ...
    def isatty(self) -> bool: ...
    def fileno(self) -> int: ...


def is_journal_stream(stream: LogStream, journal_stream: str | None) -> bool:
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
        """Sends a record too large for a datagram as a sealed file in memory, as the protocol demands."""
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


MIN_SECRET_LENGTH: Final = 4  # a shorter value would blacken ordinary words
_SECRET_WORDS: Final = frozenset(
    {"token", "secret", "password", "passwd", "authorization", "checksum", "cookie"}
)
_ALLOWED_KEYS: Final = frozenset({"instrument_token", "exchange_token"})  # numbers of the exchange's list
_WORDS: Final = re.compile(r"[A-Za-z][a-z]*|[A-Z]+")
_URL_PASSWORD: Final = re.compile(r"(?<=://)([^\s:/@]*):([^\s@]+)@")
_AUTHORIZATION: Final = re.compile(r"(?i)\b(authorization\W{1,5})[^'\"\r\n,}]+")
_NAMED: Final = re.compile(
    r"(?i)\b((?!instrument_|exchange_)[\w-]*(?:token|secret|password|passwd|checksum)"
    r"['\"]?\s*[=:]\s*['\"]?)(?!\s)([^\s'\"&,;}\])]+)"
)
ChosenSink = Literal["console", "journal", "json"]
_LIBRARY_LEVELS: Final = {
    "asyncio": "WARNING",
    "aiohttp.access": "WARNING",
    "matplotlib": "WARNING",
}


class Redactor:
    """Masks the secrets of this process in log events; a structlog processor."""

    def __init__(self, *secrets: Secret) -> None:
        self._values: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self.register(*secrets)

    def register(self, *secrets: Secret) -> None:
        """Mask these values too, from now on; also as they look inside a URL."""
        for secret in secrets:
            value = secret.reveal()
            if len(value) >= MIN_SECRET_LENGTH:
                self._values |= {value, quote(value, safe=""), quote_plus(value), repr(value)[1:-1]}
        longest_first = sorted(self._values, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def redact_text(self, text: str) -> str:
        """The text without any known secret, password in a URL, or value beside a secret's name."""
        if self._pattern is not None:
            text = self._pattern.sub(MASK, text)
        text = _URL_PASSWORD.sub(rf"\1:{MASK}@", text)
        text = _AUTHORIZATION.sub(rf"\1{MASK}", text)
        return _NAMED.sub(rf"\1{MASK}", text)

    def redact_value(self, key: str, value: Any) -> Any:
        """The value as it may be shown under this key: plain data, every text masked."""
        if is_secret_key(key) and isinstance(value, str | bytes | Secret):
            return MASK
        match value:
            case None | bool() | int() | float():
                return value
            case str():
                return self.redact_text(value)
            case Mapping():
                return {
                    self.redact_text(str(name)): self.redact_value(str(name), entry)
                    for name, entry in value.items()
                }
            case list() | tuple() | set() | frozenset():
                return [self.redact_value(key, entry) for entry in value]
        return self.redact_text(str(value) if isinstance(value, BaseException) else repr(value))

    def __call__(
        self, _logger: Any, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        for key, value in list(event.items()):
            if not key.startswith("_"):  # structlog's own, removed before rendering
                event[key] = self.redact_value(key, value)
        return event


def is_secret_key(key: str) -> bool:
    """Whether a key's name says that its value is secret: `access_token`, `apiSecret`, `X-Checksum`."""
    if key.lower() in _ALLOWED_KEYS:
        return False
    return any(word.lower() in _SECRET_WORDS for word in _WORDS.findall(key))


def configure(settings: LogSettings, masker: Redactor, stream: LogStream | None = None) -> ChosenSink:
    """Send all records of this process to the chosen sink. May be called again, e.g. in tests."""
    out: LogStream = sys.stderr if stream is None else stream
    sink = choose_sink(settings, out, os.environ)
    handler = JournalHandler() if sink == "journal" else logging.StreamHandler(out)
    handler.setFormatter(_formatter(sink, masker, colours=out.isatty() and not os.environ.get("NO_COLOR")))
    root = logging.getLogger()
    for old in tuple(root.handlers):
        if getattr(old, "of_vcpd", False):
            root.removeHandler(old)
            old.close()
    handler.of_vcpd = True  # type: ignore[union-attr]
    root.addHandler(handler)
    set_level(settings.level)
    logging.captureWarnings(capture=True)
    _configure_structlog()
    _install_exception_hooks()
    return sink


def choose_sink(settings: LogSettings, stream: LogStream, environment: Mapping[str, str]) -> ChosenSink:
    if settings.sink != "auto":
        return settings.sink
    if JOURNAL_SOCKET.exists() and is_journal_stream(stream, environment.get("JOURNAL_STREAM")):
        return "journal"
    return "console" if stream.isatty() else "json"


def configure_quiet() -> None:
    """Log warnings only, to standard error, so that standard output holds only a command's output."""
    configure(LogSettings(level="warning"), Redactor())


def set_level(level: Level) -> None:
    """Change the level live; talkative libraries stay at warnings unless all is wanted."""
    logging.getLogger().setLevel(level.upper())
    for name, floor in _LIBRARY_LEVELS.items():
        logging.getLogger(name).setLevel(floor)


def _configure_structlog() -> None:
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *_common(), ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,  # configure may come after the first import of a logger
    )


def _common() -> list[structlog.typing.Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _formatter(sink: ChosenSink, masker: Redactor, *, colours: bool) -> ProcessorFormatter:
    return ProcessorFormatter(
        foreign_pre_chain=[*_common(), structlog.stdlib.add_logger_name],
        processors=[
            ProcessorFormatter.remove_processors_meta,
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            masker,
            _renderer(sink, colours=colours),
        ],
    )


def _renderer(sink: ChosenSink, *, colours: bool) -> structlog.typing.Processor:
    if sink == "console":
        return structlog.dev.ConsoleRenderer(colors=colours)
    if sink == "json":
        return structlog.processors.JSONRenderer(sort_keys=False)
    return _render_for_journal


def _render_for_journal(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    return encode(journal_fields(event)).decode("utf-8", "surrogateescape")


def _install_exception_hooks() -> None:
    """An uncaught exception must be redacted like the rest instead of going to stderr as it is."""
    log = structlog.get_logger("vcpd")

    def uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            return
        log.critical("uncaught_error", exc_info=(kind, error, trace))

    def uncaught_in_thread(arguments: threading.ExceptHookArgs) -> None:
        if arguments.exc_value is not None:
            uncaught(arguments.exc_type, arguments.exc_value, arguments.exc_traceback)

    sys.excepthook = uncaught
    threading.excepthook = uncaught_in_thread
