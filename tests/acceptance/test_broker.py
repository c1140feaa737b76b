"""A real daemon reads holdings from its market and compares them with the trades that it stores."""

from pathlib import Path

import aiohttp

from tests.acceptance.daemon import Daemon, running, write_configuration
from tests.acceptance.exchange import Exchange, free_port
from tests.acceptance.quick_market import quick_market
from tests.cli.scripted_daemon import call
from vcpd.cli.command import EXIT_OK

READY_S = 60.0


async def _add(daemon: Daemon, session: str, quantity: int) -> None:
    trade = {"symbol": "NSE:ALPHA", "session": session, "quantity": quantity, "price": 100.0 + quantity}
    await _send(daemon, trade)


async def _send(daemon: Daemon, trade: dict[str, object], path: str = "") -> None:
    url = f"http://127.0.0.1:{daemon.port}/api/positions{path}"
    async with (
        aiohttp.ClientSession() as http,
        http.post(url, json=trade, headers=daemon.authorization()) as answer,
    ):
        assert answer.status == 200, await answer.text()


async def test_holdings_are_compared_with_the_stored_trades(tmp_path: Path, port: int) -> None:
    """Six of ten shares are stored, then the other four; then a holding without trades gets day and stop."""
    market = Exchange(free_port())
    settings = quick_market({"sandbox": {"port": market.port}})
    path = write_configuration(tmp_path, port, settings)
    async with running(path, port) as daemon:
        status = await daemon.until(lambda status: bool(status["scheduling"]), READY_S)
        day = status["session"]["last"]
        bought = {"symbol": "NSE:ALPHA", "session": day, "side": "buy", "quantity": 10, "price": 101.0}
        beta = {"symbol": "NSE:BETA", "session": day, "side": "buy", "quantity": 5, "price": 50.0}
        await market.set_trades([bought, beta])
        await _add(daemon, day, 6)
        code, found = await daemon.get("/api/broker")
        assert code == 200, found
        assert [row["quantity"] for row in found["companies"]] == [10, 5]
        assert [(row["at_broker"], row["in_trades"]) for row in found["differences"]] == [(10, 6)]
        assert [(lot["symbol"], lot["entry"]) for lot in found["unknown_lots"]] == [("NSE:BETA", 50.0)]
        await _add(daemon, day, 4)
        await _send(daemon, {"symbol": "NSE:BETA", "session": day, "stop": 45.0}, "/holding")
        code, found = await daemon.get("/api/broker")
        assert (code, found["agrees"], found["notices"]) == (200, True, [])
        assert await call("positions", "broker", "--config", path) == EXIT_OK
        assert await daemon.stop() == 0
    assert "ALPHA" not in (tmp_path / "daemon.log").read_text(encoding="utf-8"), "no log names a position"
