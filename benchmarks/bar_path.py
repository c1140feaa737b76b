"""A bar's way through the code, from the market's answer to the alert: `python -m benchmarks.bar_path`.

A whole daemon runs in this process on a small simulated market, its workers' tasks too. Every function that
the runs of collect and screen, the alerts that follow and their delivery enter is noted by the profiler,
whatever it does; the simulated exchange runs in a process of its own and is not counted.

One rule keeps something out. A coroutine that started one of these four steps and waits for it (the
scheduler's runner, the monitor's loop, the channel worker's loop) is resumed and suspended together with it,
but handles no bar. Its frames are those on the stack when the step begins.

Printed: the modules in the order in which they are first entered; their number; how often that order changes
package; and the same without the modules of `core` and `domain`. These are the vocabulary that all packages
share: a bar does not go to another package when a function asks the calendar for a session.
"""

import argparse
import asyncio
import itertools
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any, Final

from aiohttp import web

import vcpd
from benchmarks import plain_kernels  # noqa: F401 - before vcpd.analysis: the profiler sees no compiled code
from benchmarks.daemons import free_port
from vcpd.alerts.channel_worker import ChannelWorker
from vcpd.analysis import tasks
from vcpd.app import container
from vcpd.app.alert_monitor import AlertMonitor
from vcpd.app.daemon import Daemon
from vcpd.config import load_configuration
from vcpd.domain.panel import PanelReference
from vcpd.jobs.collect import Collect
from vcpd.jobs.screen import Screen
from vcpd.runtime.clock import VirtualClock
from vcpd.runtime.systemd import ServiceManager
from vcpd.runtime.worker_pool import WorkerPool
from vcpd.store.panel_files import open_panel

MAX_MODULES: Final = 60
MAX_PACKAGE_CHANGES: Final = 16
EVENING: Final = "2026-07-10T18:45:00+05:30"
PATIENCE_S: Final = 120.0
CONFIGURATION: Final = """
[daemon]
state_dir = "state"
[web]
port = {port}
[log]
level = "error"
[schedule]
max_load_per_core = 1000
max_memory_pct = 100
[sandbox]
symbols = 60
years = 2
leader_share = 0.5
[sandbox.limits]
quote_per_s = 1000
historical_per_s = 1000
other_per_s = 1000
all_gets_per_s = 1000
[limits]
quote_per_s = 100
historical_per_s = 100
other_per_s = 100
all_gets_per_s = 200
[alerts.webhook]
url = "http://127.0.0.1:{receiver}/"
"""

ROOT: Final = str(Path(vcpd.__file__).parent)
SHARED_VOCABULARY: Final = frozenset({"core", "domain"})
on_path: ContextVar[bool] = ContextVar("on_path", default=False)
waiting: Final[set[FrameType]] = (
    set()
)  # of those who started a step; kept, so that no other frame is taken for one


class InlinePool(WorkerPool):
    """Runs the tasks of workers in this process, where the profiler sees them."""

    async def start(self) -> None:
        """Start nothing: there are no processes."""

    async def close(self, deadline_s: float = 5.0) -> None:
        """End nothing."""

    async def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return function(*arguments)

    async def map_panel(
        self, task: Callable[..., Any], panel: PanelReference, parameters: Any, **_: Any
    ) -> Sequence[Any]:
        return [task(open_panel(panel), range(panel.n_symbols), parameters)]


def _frames_above(frame: FrameType) -> Iterator[FrameType]:
    above = frame.f_back
    while above is not None:
        yield above
        above = above.f_back


def follow(owner: type, name: str) -> None:
    """Let everything that the method starts count as on the path."""
    original = getattr(owner, name)

    async def followed(*arguments: Any, **keywords: Any) -> Any:
        waiting.update(_frames_above(sys._getframe()))  # noqa: SLF001 - the stack is found nowhere else
        token = on_path.set(True)
        try:
            return await original(*arguments, **keywords)
        finally:
            on_path.reset(token)

    setattr(owner, name, followed)


@contextmanager
def noted_modules() -> Iterator[list[str]]:
    """The modules of vcpd that are entered on the path, in order of their first function call."""
    found: dict[str, None] = {}

    def note(frame: FrameType, event: str, _argument: Any) -> None:
        file = frame.f_code.co_filename
        if event == "call" and file.startswith(ROOT) and on_path.get() and frame not in waiting:
            found.setdefault(file[len(ROOT) + 1 : -3].replace("/", "."))

    entered: list[str] = []
    sys.setprofile(note)
    try:
        yield entered
    finally:
        sys.setprofile(None)
        entered += found


def package_changes(modules: Sequence[str]) -> int:
    packages = [module.partition(".")[0] for module in modules]
    return sum(after != before for before, after in itertools.pairwise(packages))


@contextmanager
def receiver_events(delivered: asyncio.Event) -> Iterator[web.Application]:
    """A webhook that sets `delivered` once it has been called."""

    async def accept(_request: web.Request) -> web.Response:
        delivered.set()
        return web.Response(text="ok")

    application = web.Application()
    application.router.add_post("/", accept)
    yield application


async def run_evening(folder: Path) -> None:
    """One whole evening: collect, screen, and the digest accepted by the webhook."""
    delivered, receiver_port = asyncio.Event(), free_port()
    text = CONFIGURATION.format(port=free_port(), receiver=receiver_port)
    (folder / "config.toml").write_text(text, encoding="utf-8")
    loaded = load_configuration(folder / "config.toml")
    clock = VirtualClock(datetime.fromisoformat(EVENING))
    with receiver_events(delivered) as application:
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", receiver_port).start()
        daemon = Daemon(loaded, folder / "config.toml", clock, ServiceManager(None))
        try:
            await daemon.open()
            serving = asyncio.create_task(daemon.serve())
            async with asyncio.timeout(PATIENCE_S):
                await delivered.wait()
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
        finally:
            await daemon.close()
            await runner.cleanup()


def main(arguments: list[str] | None = None) -> int:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter).parse_args(
        arguments
    )
    vars(container)["WorkerPool"] = InlinePool
    for owner, name in ((Collect, "__call__"), (Screen, "__call__")):
        follow(owner, name)
    follow(AlertMonitor, "_publish_setups")
    follow(ChannelWorker, "_deliver")
    tasks.warm_up()  # imports are no part of the measurement
    with tempfile.TemporaryDirectory(prefix="vcpd-bench-") as name, noted_modules() as entered:
        asyncio.run(run_evening(Path(name)))
    for module in entered:
        print(module)
    apart = [module for module in entered if module.partition(".")[0] not in SHARED_VOCABULARY]
    changes, all_changes = package_changes(apart), package_changes(entered)
    print(f"{len(entered)} modules, core and domain included (at most {MAX_MODULES})")
    print(f"{changes} changes of package, core and domain apart (at most {MAX_PACKAGE_CHANGES})")
    print(f"{len(apart)} modules, core and domain apart")
    print(f"{all_changes} changes of package, core and domain included")
    return 0 if len(entered) <= MAX_MODULES and changes <= MAX_PACKAGE_CHANGES else 1


if __name__ == "__main__":
    sys.exit(main())
