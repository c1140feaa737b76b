"""Where sectors come from: the owner's lists, and the simulated exchange's own."""

from pathlib import Path
from typing import Final

import aiohttp

from vcpd.app.market import Market
from vcpd.domain.errors import RetryableError
from vcpd.jobs.sectors import Publication, Sectors
from vcpd.jobs.universe import Universe

TIMEOUT: Final = aiohttp.ClientTimeout(total=20)


def sectors_of(market: Market, universe: Universe, folder: Path) -> Sectors:
    """The simulated market publishes its sectors; any other has those of the lists alone."""
    if market.sandbox is None:
        return Sectors(universe, folder)
    return Sectors(universe, folder, _publication(market.http, f"{market.sandbox.url}/sandbox/sectors"))


def _publication(http: aiohttp.ClientSession, url: str) -> Publication:
    async def read() -> str:
        try:
            async with http.get(url, timeout=TIMEOUT) as answer:
                answer.raise_for_status()
                return await answer.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise RetryableError(f"the simulated market's sectors are away: {error}") from None

    return read
