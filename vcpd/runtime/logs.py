"""One way for every record, ours and the libraries': structlog events, masked, to one sink.

An event has a name that never changes, and key-values; a run's records carry its `run` and `job`.
"""

import logging
import os
import sys
import threading
from collections.abc import Mapping, MutableMapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Final, Literal, TextIO

import structlog
from structlog.stdlib import ProcessorFormatter

from vcpd.runtime.journal import JOURNAL_SOCKET, JournalHandler, connected_to_journal, encode, fields_of
from vcpd.runtime.masking import Masker
from vcpd.runtime.settings import Level, LogSettings

ChosenSink = Literal["console", "journal", "json"]
_QUIET: Final = {
    "asyncio": "WARNING",
    "aiohttp.access": "WARNING",
    "numba": "WARNING",
    "matplotlib": "WARNING",
}


def configure(settings: LogSettings, masker: Masker, stream: TextIO | None = None) -> ChosenSink:
    """Send all records of this process to the chosen sink. May be called again, e.g. in tests."""
    out = sys.stderr if stream is None else stream
    sink = choose_sink(settings, out, os.environ)
    handler = JournalHandler() if sink == "journal" else logging.StreamHandler(out)
    handler.setFormatter(_formatter(sink, masker, colours=out.isatty()))
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
    _log_uncaught()
    return sink


def choose_sink(settings: LogSettings, stream: TextIO, environment: Mapping[str, str]) -> ChosenSink:
    if settings.sink != "auto":
        return settings.sink
    if JOURNAL_SOCKET.exists() and connected_to_journal(stream, environment.get("JOURNAL_STREAM")):
        return "journal"
    return "console" if stream.isatty() else "json"


def set_level(level: Level) -> None:
    """Change the level live; talkative libraries stay at warnings unless all is wanted."""
    logging.getLogger().setLevel(level.upper())
    for name, floor in _QUIET.items():
        logging.getLogger(name).setLevel(floor)


def run_context(run_id: int, job: str) -> AbstractContextManager[None]:
    """Within it, every record of this task and of those it starts carries the run."""
    return structlog.contextvars.bound_contextvars(run=run_id, job=job)


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


def _formatter(sink: ChosenSink, masker: Masker, *, colours: bool) -> ProcessorFormatter:
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
    return encode(fields_of(event)).decode("utf-8", "surrogateescape")


def _log_uncaught() -> None:
    """What nobody catches must be masked like the rest instead of going to stderr as it is."""
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
