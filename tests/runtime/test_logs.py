"""Records as they leave the process: sinks, fields, levels, runs, and secrets on every path."""

import asyncio
import io
import json
import logging
import os
import socket
import struct
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import structlog

from vcpd.core.secrets import Secret
from vcpd.runtime import logs
from vcpd.runtime.logs import Redactor
from vcpd.runtime.settings import LogSettings

SECRET = "s3cr3t-value"
JSON = LogSettings(sink="json")


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    root = logging.getLogger()
    level, hooks = root.level, (sys.excepthook, threading.excepthook)
    yield
    for handler in tuple(root.handlers):
        if getattr(handler, "of_vcpd", False):
            root.removeHandler(handler)
            handler.close()
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    sys.excepthook, threading.excepthook = hooks
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def configured(settings: LogSettings = JSON) -> io.StringIO:
    out = io.StringIO()
    logs.configure(settings, Redactor(Secret(SECRET)), out)
    return out


def records(out: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_json_record_has_event_level_time_and_run() -> None:
    out = configured()
    with structlog.contextvars.bound_contextvars(run_id=7, job="screen"):
        structlog.get_logger().info("setups_found", count=3)
    structlog.get_logger().info("idle")
    first, second = records(out)
    assert str(first.pop("timestamp")).endswith("Z")
    assert first == {"event": "setups_found", "level": "info", "count": 3, "run_id": 7, "job": "screen"}
    assert "run_id" not in second


async def test_a_run_is_known_in_the_tasks_it_starts() -> None:
    out = configured()

    async def inner() -> None:
        logging.getLogger("library").warning("from a library")

    with structlog.contextvars.bound_contextvars(run_id=7, job="screen"):
        await asyncio.create_task(inner())
    assert {key: records(out)[0][key] for key in ("run_id", "job", "logger")} == {
        "run_id": 7,
        "job": "screen",
        "logger": "library",
    }


def test_the_level_changes_live() -> None:
    out = configured()
    log = structlog.get_logger()
    log.debug("hidden")
    logs.set_level("debug")
    log.debug("shown")
    logs.set_level("error")
    log.warning("hidden")
    assert [record["event"] for record in records(out)] == ["shown"]


def test_configuring_twice_does_not_log_twice() -> None:
    configured()
    out = configured()
    structlog.get_logger().info("once")
    assert len(records(out)) == 1


def _raise_with_secret() -> None:
    raise ValueError(f"cannot log in with {SECRET}")


def _emit_exception() -> None:
    try:
        _raise_with_secret()
    except ValueError:
        structlog.get_logger().exception("login_failed")


def _emit_from_library() -> None:
    logging.getLogger("aiohttp.client").warning("sent %s to %r", SECRET, {"access_token": "unregistered1"})


def _emit_library_exception() -> None:
    try:
        _raise_with_secret()
    except ValueError:
        logging.getLogger("asyncpg").exception("lost postgresql://u:unregistered1@h/d")


def _emit_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn(f"odd {SECRET}", stacklevel=1)


def _emit_uncaught() -> None:
    try:
        _raise_with_secret()
    except ValueError as error:
        sys.excepthook(type(error), error, error.__traceback__)


def _emit_uncaught_in_thread() -> None:
    thread = threading.Thread(target=_raise_with_secret)
    thread.start()
    thread.join()


def _emit_from_loop() -> None:
    async def lose_an_error() -> None:
        loop = asyncio.get_running_loop()
        loop.call_exception_handler({"message": "lost", "exception": ValueError(SECRET)})

    asyncio.run(lose_an_error())


EMITTERS = [
    lambda: structlog.get_logger().info(f"event {SECRET}"),
    lambda: structlog.get_logger().info("login", user=SECRET, token="unregistered1"),
    lambda: structlog.get_logger().info("login", deep={"list": [Secret(SECRET), SECRET]}),
    lambda: structlog.get_logger().info("login", url="http://h/?request_token=unregistered1&x=1"),
    _emit_exception,
    _emit_from_library,
    _emit_library_exception,
    _emit_warning,
    _emit_uncaught,
    _emit_uncaught_in_thread,
    _emit_from_loop,
]


@pytest.mark.parametrize("sink", ["json", "console"])
@pytest.mark.parametrize("emit", EMITTERS)
def test_no_secret_on_any_path(emit: Callable[[], object], sink: str) -> None:
    """Events, exceptions, library records, warnings, uncaught errors: masked, yet something is said."""
    out = configured(LogSettings(sink="json" if sink == "json" else "console"))
    emit()
    assert "***" in out.getvalue()
    assert SECRET not in out.getvalue()
    assert "unregistered1" not in out.getvalue()


def test_the_sink_is_found_by_where_stderr_leads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal only when JOURNAL_STREAM names this very stream; JSON for a file."""
    auto = LogSettings()
    monkeypatch.setattr(logs, "JOURNAL_SOCKET", tmp_path)
    with (tmp_path / "stderr").open("w") as stream:
        status = os.fstat(stream.fileno())
        mine = f"{status.st_dev}:{status.st_ino}"
        assert logs.choose_sink(auto, stream, {"JOURNAL_STREAM": mine}) == "journal"
        assert logs.choose_sink(auto, stream, {"JOURNAL_STREAM": "1:2"}) == "json"
        assert logs.choose_sink(auto, stream, {}) == "json"
        assert logs.choose_sink(LogSettings(sink="console"), stream, {}) == "console"
    assert logs.choose_sink(auto, io.StringIO(), {"JOURNAL_STREAM": mine}) == "json"


def test_a_terminal_gets_the_console(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    assert logs.choose_sink(LogSettings(), terminal, {}) == "console"


@pytest.mark.parametrize(("variable", "coloured"), [("", True), ("1", False)])
def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch, variable: str, coloured: bool) -> None:
    """The convention of no-color.org: any value but the empty one."""
    monkeypatch.setenv("NO_COLOR", variable)
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    logs.configure(LogSettings(sink="console"), Redactor(), terminal)
    structlog.get_logger("test").warning("an.event", key=1)
    assert "an.event" in terminal.getvalue()
    assert ("\x1b[" in terminal.getvalue()) is coloured


class Journal:
    """Our own journal socket; decodes the native protocol."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(5)

    def receive(self) -> dict[str, str]:
        data, files, _, _ = socket.recv_fds(self._socket, 1 << 20, 1)
        if files:
            with os.fdopen(files[0], "rb") as file:
                file.seek(0)
                data = file.read()
        return decode(data)

    def close(self) -> None:
        self._socket.close()


def decode(data: bytes) -> dict[str, str]:
    fields = {}
    while data:
        line, _, data = data.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            (length,) = struct.unpack("<Q", data[:8])
            value, data = data[8 : 8 + length], data[9 + length :]
        fields[name.decode()] = value.decode()
    return fields


@pytest.fixture
def our_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Journal]:
    path = tmp_path / "journal"
    made = Journal(path)
    monkeypatch.setattr(logs, "JournalHandler", partial(logs.JournalHandler, path))
    yield made
    made.close()


def test_journal_records_have_fields(our_journal: Journal) -> None:
    logs.configure(LogSettings(sink="journal"), Redactor(Secret(SECRET)))
    structlog.get_logger().warning("job_late", run=7, **{"due-at": "10:00"}, note=SECRET)
    assert (
        our_journal.receive().items()
        >= {
            "MESSAGE": "job_late run=7 due-at=10:00 note=***",
            "PRIORITY": "4",
            "SYSLOG_IDENTIFIER": "vcpd",
            "VCPD_EVENT": "job_late",
            "VCPD_RUN": "7",
            "VCPD_DUE_AT": "10:00",
            "VCPD_NOTE": "***",
        }.items()
    )


def test_a_trace_in_the_journal_has_lines_and_no_secret(our_journal: Journal) -> None:
    logs.configure(LogSettings(sink="journal"), Redactor(Secret(SECRET)))
    _emit_exception()
    message = our_journal.receive()["MESSAGE"]
    assert message.count("\n") > 2
    assert message.endswith("ValueError: cannot log in with ***")


def test_a_record_too_large_for_a_datagram_goes_as_a_file(our_journal: Journal) -> None:
    logs.configure(LogSettings(sink="journal"), Redactor())
    structlog.get_logger().info("large", text="x" * 2_000_000)
    assert len(our_journal.receive()["VCPD_TEXT"]) == 2_000_000


def test_a_journal_that_takes_nothing_never_blocks(tmp_path: Path) -> None:
    """Records that the journal has no room for are counted, and the program goes on."""
    silent = Journal(tmp_path / "journal")
    handler = logs.JournalHandler(tmp_path / "journal")
    record = logging.LogRecord("x", logging.INFO, __file__, 1, "y" * 10_000, (), None)
    for _ in range(2_000):
        handler.emit(record)
    assert handler.dropped > 0
    handler.close()
    silent.close()
