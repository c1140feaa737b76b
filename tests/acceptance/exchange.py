"""The exchange behind a daemon under test: its faults, its statistics, and whether a limit was exceeded."""

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


@dataclass(frozen=True, slots=True)
class Exchange:
    """The exchange that answers on `port`."""

    port: int

    async def statistics(self) -> Mapping[str, Any]:
        """Arrivals by class of request, and how many faults of which kind happened."""
        return await self._ask("GET", "/sandbox/statistics")

    async def set_faults(self, faults: Mapping[str, object]) -> None:
        await self._ask("POST", "/sandbox/faults", faults)

    async def set_trades(self, trades: Sequence[Mapping[str, object]]) -> None:
        """What the customer has bought and sold."""
        await self._ask("POST", "/sandbox/portfolio", {"trades": trades})

    async def _ask(
        self, method: str, path: str, body: Mapping[str, object] | None = None
    ) -> Mapping[str, Any]:
        url = f"http://127.0.0.1:{self.port}{path}"
        async with (
            aiohttp.ClientSession() as http,
            http.request(method, url, json=body, headers={"X-Sandbox-Request": "1"}) as answer,
        ):
            answer.raise_for_status()
            data: Mapping[str, Any] = (await answer.json())["data"]
            return data


def require_within_limits(statistics: Mapping[str, Any]) -> None:
    """Fails where any second saw more requests than a limit allows, or one was turned away for it."""
    for name, counts in statistics["classes"].items():
        assert counts["max_in_one_second"] <= counts["limit"], (name, counts)
        assert counts["refused"] == 0, (name, counts)
