"""Holdings and positions of the sandbox's customer in the vendor's shape; a route sets the trades."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final

import msgspec
from aiohttp import web

from vcpd.domain.calendar import TradingCalendar
from vcpd.sandbox.market import ZONE, MarketQuote, SandboxMarket
from vcpd.sandbox.protocol import ApiError, success_response
from vcpd.sandbox.settings import SIMULATED_EXCHANGE
from vcpd.sandbox.settlement import (
    DELIVERY,
    CustomerTrade,
    CustomerTrades,
    HeldShares,
    check_trades,
    held_shares,
    trades_of_day,
)

AuthorizedTime = Callable[[web.Request], Awaitable[datetime]]
ISIN_DIGITS: Final = 9


class SandboxPortfolio:
    """What the customer holds: nothing, until trades are posted to /sandbox/portfolio."""

    def __init__(
        self, calendar: TradingCalendar, market: SandboxMarket, authorized_time: AuthorizedTime
    ) -> None:
        self._calendar = calendar
        self._market = market
        self._authorized_time = authorized_time
        self._account = CustomerTrades()

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/portfolio/holdings", self._holdings),
            web.get("/portfolio/positions", self._positions),
            web.get("/sandbox/portfolio", self._show),
            web.post("/sandbox/portfolio", self._replace),
        ]

    async def _holdings(self, request: web.Request) -> web.Response:
        at = await self._authorized_time(request)
        held = held_shares(self._account, at.astimezone(ZONE).date(), self._calendar)
        quotes = self._quotes([holding.symbol for holding in held], at)
        return success_response([_holding_row(holding, quotes.get(holding.symbol)) for holding in held])

    async def _positions(self, request: web.Request) -> web.Response:
        at = await self._authorized_time(request)
        groups = list(trades_of_day(self._account, at.astimezone(ZONE).date()))
        quotes = self._quotes([group[0].symbol for group in groups], at)
        rows = [_position_row(group, quotes.get(group[0].symbol)) for group in groups]
        return success_response({"net": rows, "day": rows})

    async def _show(self, _: web.Request) -> web.Response:
        return success_response(self._account)

    async def _replace(self, request: web.Request) -> web.Response:
        """All trades anew; refused whole where any cannot be."""
        try:
            account = msgspec.json.decode(await request.read(), type=CustomerTrades)
            check_trades(account)
        except (msgspec.MsgspecError, UnicodeDecodeError, ValueError) as error:
            raise ApiError("InputException", f"invalid portfolio: {error}") from None
        self._account = account
        return success_response(account)

    def _quotes(self, symbols: Sequence[str], at: datetime) -> Mapping[str, MarketQuote]:
        """Returns quotes by requested symbol; a share of another exchange has its company's quote here."""
        here = {symbol: f"{SIMULATED_EXCHANGE.prefix}{symbol.partition(':')[2]}" for symbol in symbols}
        known = self._market.quotes(here.values(), at)
        return {symbol: known[name] for symbol, name in here.items() if name in known}


def simulated_isin(name: str) -> str:
    """The same for a company on every exchange, and no real one's."""
    number = int.from_bytes(blake2b(name.encode(), digest_size=8).digest()) % 10**ISIN_DIGITS
    return f"INE{number:0{ISIN_DIGITS}d}"


def _holding_row(held: HeldShares, quote: MarketQuote | None) -> dict[str, Any]:
    exchange, _, name = held.symbol.partition(":")
    last, close = _prices(quote, held.average_price)
    return {
        "tradingsymbol": name,
        "exchange": exchange,
        "instrument_token": 0 if quote is None else quote.token,
        "isin": simulated_isin(name),
        "product": DELIVERY,
        "price": 0,
        "quantity": max(0, held.delivered - held.sold_today),
        "used_quantity": held.sold_today,
        "t1_quantity": held.t1,
        "realised_quantity": held.delivered,
        "authorised_quantity": 0,
        "authorised_date": "2025-01-17 00:00:00",
        "authorisation": {},
        "opening_quantity": held.opening,
        "short_quantity": 0,
        "collateral_quantity": held.pledged,
        "collateral_type": "noncash" if held.pledged else "",
        "discrepancy": False,
        "average_price": held.average_price,
        "last_price": last,
        "close_price": close,
        "pnl": held.opening * (last - held.average_price),
        "day_change": last - close,
        "day_change_percentage": (last / close - 1) * 100 if close else 0,
        "mtf": {
            "quantity": held.financed,
            "used_quantity": 0,
            "average_price": held.average_price if held.financed else 0,
            "value": held.financed * held.average_price,
            "initial_margin": 0,
        },
    }


def _position_row(trades: Sequence[CustomerTrade], quote: MarketQuote | None) -> dict[str, Any]:
    exchange, _, name = trades[0].symbol.partition(":")
    sides = {side: [trade for trade in trades if trade.side == side] for side in ("buy", "sell")}
    quantity = {side: sum(trade.quantity for trade in own) for side, own in sides.items()}
    value = {side: sum(trade.quantity * trade.price for trade in own) for side, own in sides.items()}
    price = {side: value[side] / quantity[side] if quantity[side] else 0 for side in sides}
    net = quantity["buy"] - quantity["sell"]
    last, close = _prices(quote, price["buy"] or price["sell"])
    gain = value["sell"] - value["buy"] + net * last
    of_day = {
        f"{prefix}{side}_{what}": amounts[side]
        for prefix in ("", "day_")
        for side in sides
        for what, amounts in (("quantity", quantity), ("price", price), ("value", value))
    }
    return {
        "tradingsymbol": name,
        "exchange": exchange,
        "instrument_token": 0 if quote is None else quote.token,
        "product": trades[0].product,
        "quantity": net,
        "overnight_quantity": 0,
        "multiplier": 1,
        "average_price": price["buy"] if net > 0 else price["sell"] if net < 0 else 0,
        "close_price": close,
        "last_price": last,
        "value": value["sell"] - value["buy"],
        "pnl": gain,
        "m2m": gain,
        "unrealised": gain,
        "realised": 0,
        "buy_m2m": value["buy"],
        "sell_m2m": value["sell"],
        **of_day,
    }


def _prices(quote: MarketQuote | None, otherwise: float) -> tuple[float, float]:
    """The last price and the close before it; what was paid where the market has no quote."""
    return (otherwise, otherwise) if quote is None else (quote.last, quote.previous_close)
