"""Whatever door a market has, the jobs behind it see the same promises kept."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import date, datetime
from pathlib import Path

import aiohttp
import pytest

from tests.bhavcopy.clients import folder_client, web_client
from tests.bhavcopy.publisher import FIRST, LAST, Publisher, small_market
from tests.bhavcopy.web import serving
from tests.fakes.clock import FakeClock, Sleep
from tests.market_data import CHECKS, Check, OpenClient
from vcpd.core.secrets import Secret
from vcpd.domain.exchange import NSE_EXCHANGE
from vcpd.domain.nse_calendar import NSE
from vcpd.kite.auth import KiteCredentials, KiteSession, SandboxLogin
from vcpd.kite.client import KiteClient
from vcpd.kite.rate_limits import RateLimits
from vcpd.kite.settings import KiteSettings, LimitSettings
from vcpd.kite.token_store import TokenFile
from vcpd.kite.transport import Transport
from vcpd.sandbox.exchange import start_server
from vcpd.sandbox.settings import RateSettings, SandboxSettings
from vcpd.sandbox.simulated import SimulatedMarket

WIDE = RateSettings(quote_per_s=1000, historical_per_s=1000, other_per_s=1000, all_gets_per_s=1000)
SIMULATED = SandboxSettings(symbols=12, seed=3, years=1, limits=WIDE)
SIMULATED_LAST = date(2026, 7, 15)


@pytest.fixture(scope="module")
def publisher() -> Publisher:
    return small_market()


@pytest.fixture(scope="module")
def simulated() -> SimulatedMarket:
    return SimulatedMarket(SIMULATED, NSE, SIMULATED_LAST)


@asynccontextmanager
async def kite_client(simulated: SimulatedMarket, folder: Path) -> AsyncIterator[OpenClient]:
    clock = FakeClock(datetime.fromisoformat("2026-07-15T18:00:00+05:30"), Sleep.RETURNS)
    sandbox = await start_server(SIMULATED, simulated, clock, port=0)
    settings = KiteSettings(
        api_key=SIMULATED.api_key, api_root=sandbox.url, login_root=f"{sandbox.url}/connect/login"
    )
    wide = LimitSettings(quote_per_s=900, historical_per_s=900, other_per_s=900, all_gets_per_s=900)
    async with aiohttp.ClientSession() as http:
        transport = Transport(http, settings, RateLimits(wide))
        credentials = KiteCredentials.of(settings, Secret(SIMULATED.api_secret))
        file = TokenFile(folder / "token.json")
        session = KiteSession(transport, credentials, clock, file, NSE_EXCHANGE, automatic=SandboxLogin(http))
        yield OpenClient(KiteClient(transport, session, NSE_EXCHANGE), date(2026, 4, 1), SIMULATED_LAST, NSE)
    await sandbox.close()


@pytest.fixture(params=["kite", "bulletins by folder", "bulletins by web"])
async def market_client(
    request: pytest.FixtureRequest, publisher: Publisher, simulated: SimulatedMarket, tmp_path: Path
) -> AsyncIterator[OpenClient]:
    async with AsyncExitStack() as stack:
        if request.param == "kite":
            yield await stack.enter_async_context(kite_client(simulated, tmp_path))
            return
        published = publisher.publish(tmp_path / "bulletins")
        if request.param == "bulletins by folder":
            market = await stack.enter_async_context(folder_client(published, tmp_path / "door"))
        else:
            files = dict(publisher.files()) | {"actions": publisher.action_list()}
            server = await stack.enter_async_context(serving(files))
            url = f"{server.root}/actions?first={{first:%d-%m-%Y}}&last={{last:%d-%m-%Y}}"
            market = await stack.enter_async_context(
                web_client(server.root, tmp_path / "door", actions_url=url)
            )
        yield OpenClient(market, FIRST, LAST, NSE)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_a_client_keeps_its_promises(market_client: OpenClient, check: Check) -> None:
    await check(market_client)
