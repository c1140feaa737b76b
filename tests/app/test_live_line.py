"""The terminal's last line: what is logged appears above it, and nothing is left behind."""

import io
import os
import shutil
from collections.abc import Mapping

import pytest
import structlog

from vcpd.app.terminal import ERASE_LINE, LiveLine, is_live_terminal
from vcpd.runtime import logs
from vcpd.runtime.logs import ChosenSink, Redactor
from vcpd.runtime.settings import LogSettings


class Terminal(io.StringIO):
    """Shows what a terminal would after all that was written."""

    def isatty(self) -> bool:
        return True

    def rows(self) -> list[str]:
        return [line.rpartition(ERASE_LINE)[2] for line in self.getvalue().split("\n")]


@pytest.fixture(autouse=True)
def _eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "get_terminal_size", lambda: os.terminal_size((80, 24)))


def test_the_line_is_rewritten_in_place() -> None:
    terminal = Terminal()
    line = LiveLine(terminal, colours=False)
    for text in ("collect: 1 of 3", "collect: 2 of 3", "idle"):
        line.show(text)
    assert terminal.rows() == ["idle"]


def test_what_is_written_comes_above_the_line() -> None:
    terminal = Terminal()
    line = LiveLine(terminal, colours=False)
    line.write("before\n")
    line.show("collect: 1 of 3")
    line.write("first\n")
    line.write("second\n")
    assert terminal.rows() == ["before", "first", "second", "collect: 1 of 3"]
    line.show("")
    assert terminal.rows() == ["before", "first", "second", ""]


def test_an_unchanged_line_writes_nothing() -> None:
    terminal = Terminal()
    line = LiveLine(terminal, colours=True)
    line.show("idle")
    written = terminal.getvalue()
    line.show("idle")
    assert terminal.getvalue() == written


def test_a_line_never_wraps_and_never_has_a_second_row() -> None:
    terminal = Terminal()
    LiveLine(terminal, colours=False).show("word\nword " * 40)
    (row,) = terminal.rows()
    assert len(row) == 79
    assert row.endswith("…")


def test_log_records_share_the_stream() -> None:
    terminal = Terminal()
    line = LiveLine(terminal, colours=False)
    logs.configure(LogSettings(sink="console"), Redactor(), line)
    line.show("collect: 1 of 3")
    structlog.get_logger("test").warning("an.event", key=1)
    above, below = terminal.rows()
    assert "an.event" in above
    assert below == "collect: 1 of 3"


@pytest.mark.parametrize(
    ("sink", "environment", "live"),
    [
        ("console", {"TERM": "xterm"}, True),
        ("console", {"TERM": "dumb"}, False),
        ("console", {}, False),
        ("json", {"TERM": "xterm"}, False),
        ("journal", {"TERM": "xterm"}, False),
    ],
)
def test_only_a_person_on_a_terminal_gets_one(
    sink: ChosenSink, environment: Mapping[str, str], live: bool
) -> None:
    assert is_live_terminal(sink, Terminal(), environment) is live
    assert not is_live_terminal(sink, io.StringIO(), environment)
