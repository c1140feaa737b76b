"""Trades of the sandbox's customer, and the holdings and positions that they are on a later day.

A purchase is a position on its session, a holding to be delivered (T1) on the next one, and delivered from
the session after that. A sale is a position on its session and gone from the holding afterwards. Shares that
cost nothing are a credit of bonus shares: they are delivered on their day and never a position. A route sets
the trades; two others answer with holdings and positions in the vendor's shape.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from hashlib import blake2b
from typing import Annotated, Any, Final, Literal

import msgspec
from aiohttp import web
from msgspec import Meta

from vcpd.domain.calendar import TradingCalendar
from vcpd.sandbox.market import ZONE, MarketQuote, SandboxMarket
from vcpd.sandbox.protocol import ApiError, success_response
from vcpd.sandbox.settings import SIMULATED_EXCHANGE

DELIVERY: Final = "CNC"
Shares = Annotated[int, Meta(ge=1, le=10**9)]
FullSymbol = Annotated[str, Meta(pattern="^[A-Z]+:[^:]{1,64}$")]
AuthorizedTime = Callable[[web.Request], Awaitable[datetime]]
ISIN_DIGITS: Final = 9


class CustomerTrade(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A trade of the customer; price 0 is a credit of bonus shares."""

    symbol: FullSymbol
    session: date
    side: Literal["buy", "sell"]
    quantity: Shares
    price: Annotated[float, Meta(ge=0, le=1e9)]
    product: Literal["CNC", "MIS", "MTF", "NRML", "CO"] = DELIVERY

    @property
    def name(self) -> str:
        """The company, whichever exchange it was traded on."""
        return self.symbol.partition(":")[2]

    @property
    def change(self) -> int:
        """What it adds to the shares that are held."""
        return self.quantity if self.side == "buy" else -self.quantity

    @property
    def is_credit(self) -> bool:
        return self.side == "buy" and self.price == 0.0


class CustomerTrades(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All trades; by company the shares that are pledged, as far as delivered, and those that a loan paid."""

    trades: tuple[CustomerTrade, ...] = ()
    pledged: dict[str, Shares] = {}
    financed: dict[str, Shares] = {}


class HeldShares(msgspec.Struct, frozen=True, kw_only=True):
    """A holding when the day begins, and what is sold of it during the day."""

    symbol: str
    delivered: int  # and not pledged
    t1: int
    pledged: int
    financed: int
    sold_today: int
    average_price: float

    @property
    def opening(self) -> int:
        return self.delivered + self.t1 + self.pledged


def check_trades(account: CustomerTrades) -> None:
    """ValueError, naming company and day, for a sale of more than is held, and for a pledge of nothing.

    Within a session the order of its trades does not matter.
    """
    by_name = _by_name(account)
    for own in by_name.values():
        held = 0
        for session in dict.fromkeys(trade.session for trade in own):
            held += sum(trade.change for trade in own if trade.session == session)
            if held < 0:
                raise ValueError(f"trades: {own[0].name} {session}: a sale of {-held} shares more than held")
    if missing := (account.pledged.keys() | account.financed.keys()) - by_name.keys():
        raise ValueError(f"pledged or financed: {', '.join(sorted(missing))}: no trade for delivery")


def held_shares(account: CustomerTrades, today: date, calendar: TradingCalendar) -> list[HeldShares]:
    """The holdings of `today`, of checked trades."""
    last_session = calendar.previous(today)
    holdings = [_holding(account, own, today, last_session) for own in _by_name(account).values()]
    return [holding for holding in holdings if holding.opening or holding.financed]


def trades_of_day(account: CustomerTrades, today: date) -> Iterator[tuple[CustomerTrade, ...]]:
    """The trades of `today`, together where symbol and product are the same."""
    grouped: dict[tuple[str, str], list[CustomerTrade]] = defaultdict(list)
    for trade in account.trades:
        if trade.session == today and not trade.is_credit:
            grouped[trade.symbol, trade.product].append(trade)
    return map(tuple, grouped.values())


def _by_name(account: CustomerTrades) -> dict[str, list[CustomerTrade]]:
    """The trades for delivery of each company, oldest first."""
    by_name: dict[str, list[CustomerTrade]] = defaultdict(list)
    for trade in sorted(account.trades, key=lambda trade: trade.session):
        if trade.product == DELIVERY:
            by_name[trade.name].append(trade)
    return by_name


def _holding(
    account: CustomerTrades, own: Sequence[CustomerTrade], today: date, last_session: date
) -> HeldShares:
    name = own[0].name
    carried = [
        trade for trade in own if trade.session < today or (trade.is_credit and trade.session == today)
    ]
    held = sum(trade.change for trade in carried)
    latest = [trade for trade in carried if trade.session >= last_session and not trade.is_credit]
    t1 = max(0, sum(trade.change for trade in latest))
    pledged = min(account.pledged.get(name, 0), held - t1)
    bought = [trade for trade in carried if trade.side == "buy"]
    paid = sum(trade.quantity * trade.price for trade in bought)
    sold_today = sum(trade.quantity for trade in own if trade.session == today and trade.side == "sell")
    return HeldShares(
        symbol=own[0].symbol,
        delivered=held - t1 - pledged,
        t1=t1,
        pledged=pledged,
        financed=account.financed.get(name, 0),
        sold_today=min(held, sold_today),
        average_price=round(paid / sum(trade.quantity for trade in bought), 6) if bought else 0.0,
    )


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
