"""Signals sent to a real process: stop, stop now, reload; on both event loops."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

DAEMON = """
import asyncio, sys, time
import uvloop
from vcpd.runtime.lifecycle import SignalHandlers

async def main(after_stop):
    stopped = asyncio.Event()
    def on_stop(number):
        print("stop", number.name, flush=True)
        stopped.set()
    def on_reload():
        print("reload", flush=True)
    SignalHandlers(asyncio.get_running_loop(), on_stop, on_reload).install()
    print("ready", flush=True)
    await stopped.wait()
    if after_stop == "hang":
        while True:
            time.sleep(0.01)
    if after_stop == "drain":
        await asyncio.Event().wait()

{"asyncio": asyncio.run, "uvloop": uvloop.run}[sys.argv[1]](main(sys.argv[2]))
"""
ROOT = Path(__file__).resolve().parents[2]


class Daemon:
    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        assert self.says() == "ready"

    def says(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def report(self, number: signal.Signals) -> None:
        self.process.send_signal(number)


def start(loop: str, after_stop: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", DAEMON, loop, after_stop], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_hup_reloads_and_a_stop_signal_stops(loop: str, number: signal.Signals) -> None:
    with start(loop, "leave") as process:
        daemon = Daemon(process)
        daemon.report(signal.SIGHUP)
        assert daemon.says() == "reload"
        daemon.report(number)
        assert daemon.says() == f"stop {number.name}"
        assert process.wait(5) == 0


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("after_stop", ["drain", "hang"])
def test_the_second_signal_ends_it_now(loop: str, after_stop: str) -> None:
    """Even when the event loop hangs while it stops."""
    with start(loop, after_stop) as process:
        daemon = Daemon(process)
        daemon.report(signal.SIGTERM)
        assert daemon.says() == "stop SIGTERM"
        daemon.report(signal.SIGINT)
        assert process.wait(5) == 128 + signal.SIGINT
