"""The daemon's life at its edges: reloads at awkward moments, long starts, the first of several deaths."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import msgspec
import pytest

from vcpd.app import daemon as daemon_module
from vcpd.app.container import OpenDaemon
from vcpd.app.daemon import Daemon
from vcpd.app.reload import _with_running_sections, needs_restart
from vcpd.config import Configuration, LoadedConfiguration, load_configuration
from vcpd.runtime import logs
from vcpd.runtime.clock import WallClock
from vcpd.runtime.lifecycle import DaemonState, LifecycleEvent
from vcpd.runtime.systemd import ServiceManager


class ManagerMessages(ServiceManager):
    """Keeps what the service manager would hear."""

    def __init__(self) -> None:
        super().__init__(None)
        self.lines: list[str] = []

    def _send(self, *lines: str) -> None:
        self.lines.append(lines[0])


@pytest.fixture
def reported() -> ManagerMessages:
    return ManagerMessages()


@pytest.fixture
async def daemon(reported: ManagerMessages, monkeypatch: pytest.MonkeyPatch) -> Daemon:
    loaded = LoadedConfiguration(Configuration(), {}, Path())
    return Daemon(loaded, Path("config.toml"), WallClock(), reported)


def stand_in() -> SimpleNamespace:
    """What the daemon asks of what was opened."""
    return SimpleNamespace(
        background=SimpleNamespace(status_line=lambda: "idle", coroutines=dict),
        reloader=Reloader(),
        port=0,
    )


class Reloader:
    def reload(self, path: Path) -> None: ...


def started(daemon: Daemon) -> Daemon:
    daemon.opened = cast("OpenDaemon", stand_in())
    for trigger in (LifecycleEvent.START, LifecycleEvent.STARTED):
        daemon._lifecycle.fire(trigger)
    return daemon


def reloads(monkeypatch: pytest.MonkeyPatch, act: Callable[..., None] = lambda *_: None) -> list[Path]:
    """Counts reloads instead of doing them."""
    seen: list[Path] = []

    def counted(_: Reloader, path: Path) -> None:
        seen.append(path)
        act()

    monkeypatch.setattr(Reloader, "reload", counted)
    return seen


def test_a_reload_while_stopping_changes_and_says_nothing(
    daemon: Daemon, reported: ManagerMessages, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = reloads(monkeypatch)
    started(daemon)._lifecycle.fire(LifecycleEvent.STOP)
    daemon._on_reload()
    assert (seen, reported.lines) == ([], [])


def test_a_reload_that_breaks_leaves_the_daemon_ready(
    daemon: Daemon, reported: ManagerMessages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of ours must not leave the manager waiting for READY=1, nor refuse every reload after it."""

    def break_down() -> None:
        raise ZeroDivisionError

    seen = reloads(monkeypatch, break_down)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            started_once(daemon)._on_reload()
    assert len(seen) == 2
    assert reported.lines == ["RELOADING=1", "READY=1"] * 2
    assert daemon._lifecycle.state is DaemonState.READY


def started_once(daemon: Daemon) -> Daemon:
    return daemon if daemon.opened is not None else started(daemon)


async def test_a_reload_while_starting_is_made_up_for(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file may have changed after it was read: the signal is not lost."""
    seen = reloads(monkeypatch)

    class Opening:
        def __init__(self, *_: object) -> None: ...

        async def open(self) -> SimpleNamespace:
            daemon._on_reload()
            return stand_in()

    def begin(_opened: object) -> None:
        daemon._lifecycle.fire(LifecycleEvent.STARTED)

    monkeypatch.setattr(daemon_module, "Container", Opening)
    monkeypatch.setattr(daemon, "_start_background", begin)
    monkeypatch.setattr(daemon_module, "freeze_gc", lambda: None)
    monkeypatch.setattr(logs, "configure", lambda *_: None)
    await daemon.open()
    daemon._signals.remove()
    assert seen == [Path("config.toml")]


def test_the_first_death_is_the_reason(daemon: Daemon) -> None:
    """What dies afterwards is mostly its victim."""
    first = ValueError("the store is gone")
    started(daemon)._on_task_failure("embedded-store", first)
    daemon._on_task_failure("telling", ValueError("no answer"))
    assert daemon._fatal_error is first


def configured(tmp_path: Path, text: str) -> Configuration:
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    return load_configuration(path, {}).configuration


def test_another_sink_waits_for_a_restart_and_is_said_to(tmp_path: Path) -> None:
    running = configured(tmp_path, "")
    wanted = configured(tmp_path, '[log]\nsink = "json"\nlevel = "debug"\n')
    applied = _with_running_sections(wanted, running)
    assert (applied.log.level, applied.log.sink) == ("debug", "auto")
    assert needs_restart(wanted, applied) == ("log.sink",)


def test_another_market_waits_for_a_restart_and_so_does_its_day(tmp_path: Path) -> None:
    """The running market's jobs keep their times until the other market is really there."""
    running = configured(tmp_path, "")
    wanted = configured(tmp_path, '[daemon]\nmarket = "bhavcopy"\n')
    applied = _with_running_sections(wanted, running)
    assert applied.jobs == running.jobs
    assert needs_restart(wanted, applied) == ("daemon", "jobs")


def test_jobs_and_levels_change_live(tmp_path: Path) -> None:
    running = configured(tmp_path, "")
    wanted = configured(tmp_path, '[jobs.risk]\nenabled = false\n[log]\nlevel = "debug"\n')
    applied = _with_running_sections(wanted, running)
    assert msgspec.to_builtins(applied) == msgspec.to_builtins(wanted)
    assert needs_restart(wanted, applied) == ()


async def test_a_long_start_asks_the_manager_for_patience(
    daemon: Daemon, reported: ManagerMessages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recovery or a migration must not be killed halfway, again and again."""
    monkeypatch.setattr(daemon_module, "START_CHECK_INTERVAL_S", 1)

    opened = cast("OpenDaemon", stand_in())

    async def opening() -> OpenDaemon:
        async with asyncio.timeout(10):
            while not reported.lines:  # noqa: ASYNC110 - the manager sets no event
                await asyncio.sleep(0.01)
        return opened

    assert await daemon._run_unless_stopped(opening()) is opened
    assert reported.lines == ["EXTEND_TIMEOUT_USEC=3000000"]


def test_work_in_flight_is_not_waited_for_after_a_fatal_error(daemon: Daemon) -> None:
    before_s = daemon._drain_timeout_s()
    started(daemon)._on_task_failure("scheduler-watch", ValueError("it cannot go on"))
    assert before_s == Configuration().daemon.shutdown_timeout_s > daemon._drain_timeout_s() == 0.0
