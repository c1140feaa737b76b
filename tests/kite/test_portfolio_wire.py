"""Holdings and positions to values: the vendor's samples, odd rows, anything else; and how they are asked."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kite.exchange import client_for, refusal, running, success
from tests.kite.test_wire import JSON
from tests.real_data import real_data
from vcpd.core.errors import NeedsLoginError, RetryableError
from vcpd.domain.broker import BrokerHolding, BrokerPosition
from vcpd.kite.portfolio_wire import decode_holdings, decode_positions

HOLDING: dict[str, Any] = {
    "tradingsymbol": "ALPHA",
    "exchange": "NSE",
    "isin": "INE000000001",
    "quantity": 5,
    "used_quantity": 1,
    "t1_quantity": 3,
    "realised_quantity": 6,
    "opening_quantity": 9,
    "collateral_quantity": 4,
    "average_price": 101.5,
}
POSITION: dict[str, Any] = {
    "tradingsymbol": "ALPHA",
    "exchange": "NSE",
    "product": "CNC",
    "quantity": -2,
    "day_buy_quantity": 1,
    "day_sell_quantity": 3,
    "day_buy_price": 99.0,
}


def _body(data: object) -> bytes:
    return json.dumps({"status": "success", "data": data}).encode()


def test_the_vendors_sample_of_holdings_is_read() -> None:
    """Shares on two exchanges, one of them beside a thousand that are financed."""
    first, second = decode_holdings(real_data("kite_mocks/holdings.json").read_bytes())
    assert (first.symbol, first.isin, first.quantity, first.financed) == (
        "NSE:AARON",
        "INE721Z01010",
        1,
        1000,
    )
    assert (second.symbol, second.quantity, second.average_price) == ("BSE:SBIN", 16, 801.78125)
    assert first.is_consistent
    assert second.is_consistent


def test_the_vendors_sample_of_positions_is_read() -> None:
    """Two commodity contracts and a cover order: none of them is a purchase for delivery."""
    positions = decode_positions(real_data("kite_mocks/positions.json").read_bytes())
    assert [(position.symbol, position.reason_left_out) for position in positions] == [
        ("MCX:LEADMINI17DECFUT", "a contract on MCX, no shares"),
        ("MCX:GOLDGUINEA17DECFUT", "a contract on MCX, no shares"),
        ("NSE:SBIN", "product CO: intraday, cover order"),
    ]
    assert (positions[1].bought, positions[1].sold, positions[1].carried) == (1, 4, 3)


def test_each_part_of_a_holding_is_kept_apart() -> None:
    """What was sold today stays among the settled shares: the trades of today take it away."""
    assert decode_holdings(_body([HOLDING])) == (
        BrokerHolding(
            symbol="NSE:ALPHA",
            isin="INE000000001",
            settled=6,
            unsettled=3,
            pledged=4,
            average_price=101.5,
            net_quantity=5,
            opening=9,
            sold_today=1,
        ),
    )


def test_of_a_position_the_trades_of_today_count() -> None:
    (position,) = decode_positions(_body({"net": [POSITION], "day": []}))
    assert position == BrokerPosition(
        symbol="NSE:ALPHA", product="CNC", bought=1, sold=3, net_quantity=-2, buy_price=99.0
    )
    assert (position.net_today, position.carried, position.reason_left_out) == (-2, 0, None)


def test_an_account_without_anything_is_one() -> None:
    assert decode_holdings(_body([])) == ()
    assert decode_positions(_body({"net": [], "day": []})) == ()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"t1_quantity": None}, "t1_quantity"),
        ({"realised_quantity": -1}, "realised_quantity"),
        ({"realised_quantity": 1.5}, "realised_quantity"),
        ({"quantity": "6"}, "quantity"),
        ({"average_price": -1}, "average_price"),
        ({"tradingsymbol": ""}, "tradingsymbol"),
    ],
)
def test_a_holding_that_cannot_be_read_is_named_and_no_other_is_taken(
    changes: dict[str, object], field: str
) -> None:
    """Else the account would lack it without a word."""
    with pytest.raises(RetryableError, match=rf"/portfolio/holdings: .*\[1\]\.{field}"):
        decode_holdings(_body([HOLDING, {**HOLDING, **changes}]))


@pytest.mark.parametrize("field", ["product", "quantity", "day_buy_quantity", "day_sell_quantity"])
def test_a_position_that_lacks_a_field_is_named(field: str) -> None:
    row = {name: value for name, value in POSITION.items() if name != field}
    with pytest.raises(RetryableError, match=f"/portfolio/positions: .*{field}"):
        decode_positions(_body({"net": [row]}))


@given(st.binary(max_size=200) | JSON.map(_body) | st.lists(JSON, max_size=3).map(_body))
@settings(max_examples=150, deadline=None)
def test_anything_decodes_or_is_a_temporary_error(body: bytes) -> None:
    for decode in (decode_holdings, decode_positions):
        with suppress(RetryableError):
            decode(body)


async def test_the_client_asks_for_both_and_for_nothing_else(tmp_path: Path) -> None:
    """Two GET requests; nothing is placed, changed or converted."""
    async with running(refusal(500, "GeneralException")) as exchange, client_for(exchange, tmp_path) as found:
        exchange.script.extend((success([HOLDING]), success({"net": [POSITION], "day": [POSITION]})))
        account = await found.client.broker_account()
        assert [(asked.method, asked.path) for asked in exchange.requested] == [
            ("GET", "/portfolio/holdings"),
            ("GET", "/portfolio/positions"),
        ]
    assert [holding.quantity for holding in account.holdings] == [13]
    assert [position.net_today for position in account.positions] == [-2]


async def test_a_session_that_has_ended_is_said(tmp_path: Path) -> None:
    async with running(refusal(403, "TokenException")) as exchange, client_for(exchange, tmp_path) as found:
        with pytest.raises(NeedsLoginError, match="/portfolio/holdings"):
            await found.client.broker_account()
