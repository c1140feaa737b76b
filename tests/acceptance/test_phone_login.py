"""The market's login from another address: the alert's link, two taps, and the login is valid."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from tests.acceptance.daemon import Daemon, running, write_configuration
from tests.acceptance.exchange import free_port
from tests.acceptance.quick_market import quick_limits
from tests.alerts.receiver import Receiver, receiving
from tests.web.browser import NARROW, Browser, driver
from tests.web.proxy import ADDRESS, proxied
from vcpd.domain.bars import BarSeries
from vcpd.domain.nse_calendar import NSE
from vcpd.runtime.clock import WallClock
from vcpd.sandbox.exchange import start_server
from vcpd.sandbox.historical import HistoricalMarket
from vcpd.sandbox.settings import SandboxSettings

__all__ = ["driver"]  # a fixture is taken by importing it

pytestmark = pytest.mark.timeout(300)
READY_S: Final = 90.0
POLL_S: Final = 0.1
TRADING_DAY: Final = "2026-11-25T10:00:00+05:30"
API_KEY: Final = "key"


@asynccontextmanager
async def _exchange(callback_url: str) -> AsyncIterator[str]:
    """A simulated exchange with a login page that waits for its button; its address."""
    settings = SandboxSettings(port=0, api_key=API_KEY, automatic_login=False, redirect_url=callback_url)
    market = HistoricalMarket({"AAA": BarSeries.empty("AAA")}, NSE, {})
    server = await start_server(settings, market, WallClock())
    try:
        yield server.url
    finally:
        await server.close()


def _write(folder: Path, port: int, public_url: str, root: str, receiver: Receiver) -> Path:
    secrets = folder / "state" / "secrets"
    secrets.mkdir(parents=True, mode=0o700)
    (secrets / "kite_api_secret").write_text(SandboxSettings().api_secret, encoding="utf-8")
    (secrets / "kite_api_secret").chmod(0o600)
    path = write_configuration(
        folder,
        port,
        f'public_url = "{public_url}"\n[kite]\napi_key = "{API_KEY}"\napi_root = "{root}"\n'
        f'login_root = "{root}/connect/login"\n[alerts.webhook]\nurl = "{receiver.url}/hook"\n'
        + quick_limits(),
    )
    path.write_text(path.read_text(encoding="utf-8").replace("[daemon]", '[daemon]\nmarket = "kite"', 1))
    return path


async def _alert_link(receiver: Receiver, daemon: Daemon) -> str:
    """The link of the first alert that asks for the login."""
    async with asyncio.timeout(READY_S):
        while True:
            assert daemon.process.returncode is None, daemon.tail()
            for arrival in receiver.arrived:
                for alert in json.loads(arrival.body)["alerts"]:
                    if alert["kind"] == "login_due":
                        return str(alert["facts"]["url"])
            await asyncio.sleep(POLL_S)


async def test_the_alert_leads_to_a_valid_login_from_another_address(tmp_path: Path, driver: Any) -> None:
    public_port, port = free_port(), free_port()
    public_url = f"https://{ADDRESS}:{public_port}/vcpd/"
    async with _exchange(f"{public_url}kite/callback") as root, receiving() as receiver:
        path = _write(tmp_path, port, public_url, root, receiver)
        with proxied(f"http://127.0.0.1:{port}", public_port, tmp_path):
            async with running(path, port, "--now", TRADING_DAY) as daemon:
                link = await _alert_link(receiver, daemon)
                assert link.startswith(f"{public_url}login?ticket=")
                said = await asyncio.to_thread(_log_in, driver, link)
                assert said.startswith("Logged in.")
                assert json.loads((tmp_path / "state" / "kite-token.json").read_text())["api_key"] == API_KEY
                assert link.rpartition("=")[2] not in daemon.log.read_text(encoding="utf-8")
                assert await daemon.stop() == 0


def _log_in(driver: Any, link: str) -> str:
    """Tap the link, then the button of the market's page; the text of the page that comes then."""
    browser = Browser(driver)
    width, height = NARROW
    driver.set_window_size(width, height)
    driver.get(link)
    browser.click("button")
    browser.until(lambda: "kite/callback" in driver.current_url)
    return browser.text("body")
