"""Shares at the broker counted once each, and compared with what the stored trades leave."""

from collections.abc import Mapping
from datetime import date

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from vcpd.analysis.broker_comparison import TradedAccount, compare_with_broker
from vcpd.analysis.lots import build_lot_book
from vcpd.domain.broker import BrokerAccount, BrokerComparison, BrokerHolding, BrokerPosition
from vcpd.domain.portfolio import Fill, Lot, ShareAdjustment, Side

ISIN, OTHER_ISIN = "INE000000001", "INE000000002"
MONDAY, TUESDAY, WEDNESDAY = date(2026, 7, 13), date(2026, 7, 14), date(2026, 7, 15)
COUNTS = st.integers(0, 10_000)


def holding(
    settled: int = 0,
    unsettled: int = 0,
    pledged: int = 0,
    *,
    symbol: str = "NSE:ALPHA",
    isin: str = ISIN,
    price: float = 100.0,
) -> BrokerHolding:
    return BrokerHolding(
        symbol=symbol,
        isin=isin,
        settled=settled,
        unsettled=unsettled,
        pledged=pledged,
        average_price=price,
    )


def position(
    bought: int = 0, sold: int = 0, *, symbol: str = "NSE:ALPHA", product: str = "CNC", carried: int = 0
) -> BrokerPosition:
    return BrokerPosition(
        symbol=symbol,
        product=product,
        bought=bought,
        sold=sold,
        net_quantity=bought - sold + carried,
        buy_price=110.0 if bought else 0.0,
    )


def fill(session: date, quantity: int, *, symbol: str = "NSE:ALPHA", price: float = 100.0) -> Fill:
    """A purchase; a sale where the quantity is below 0."""
    return Fill(
        symbol=symbol,
        session=session,
        side=Side.BUY if quantity > 0 else Side.SELL,
        quantity=abs(quantity),
        price=price,
        trade_id=f"{session} {quantity}",
    )


def compared(
    account: BrokerAccount,
    *fills: Fill,
    adjustments: tuple[ShareAdjustment, ...] = (),
    symbols_by_isin: Mapping[str, str] | None = None,
) -> BrokerComparison:
    traded = TradedAccount(book=build_lot_book(fills, adjustments), as_of=WEDNESDAY, adjustments=adjustments)
    return compare_with_broker(account, traded, "NSE", symbols_by_isin or {})


def of(*rows: BrokerHolding | BrokerPosition) -> BrokerAccount:
    return BrokerAccount(
        holdings=tuple(row for row in rows if isinstance(row, BrokerHolding)),
        positions=tuple(row for row in rows if isinstance(row, BrokerPosition)),
    )


def test_a_purchase_is_counted_once_on_each_of_three_sessions() -> None:
    """As a trade of today, as T1, and as settled."""
    bought = fill(MONDAY, 10)
    for account in (of(position(bought=10)), of(holding(unsettled=10)), of(holding(settled=10))):
        result = compared(account, bought)
        assert [company.quantity for company in result.companies] == [10]
        assert result.agrees


def test_a_purchase_that_the_positions_still_carry_is_not_counted_twice() -> None:
    """A position with shares of yesterday beside the same shares as T1."""
    result = compared(of(holding(unsettled=10), position(carried=10)), fill(MONDAY, 10))
    assert result.agrees
    assert result.notices == ()


def test_shares_that_only_a_position_carries_are_named_and_not_counted() -> None:
    result = compared(of(position(carried=10)), fill(MONDAY, 10))
    assert [difference.at_broker for difference in result.differences] == [0]
    (notice,) = result.notices
    assert notice == (
        "NSE:ALPHA: the positions carry 10 shares from earlier sessions, the holding has 0 as T1: only the "
        "holding's are counted"
    )


def test_a_sale_from_t1_is_counted_once() -> None:
    """On its day the holding still has the shares; on the next one neither side has them."""
    traded = fill(MONDAY, 10), fill(TUESDAY, -4, price=120.0)
    on_the_day = of(holding(unsettled=10), position(sold=4))
    afterwards = of(holding(settled=6))
    for account in (on_the_day, afterwards):
        result = compared(account, *traded)
        assert [company.quantity for company in result.companies] == [6]
        assert result.agrees


def test_pledged_shares_are_held() -> None:
    result = compared(of(holding(settled=3, pledged=7)), fill(MONDAY, 10))
    assert result.companies[0].pledged == 7
    assert result.agrees


def test_a_bonus_that_is_credited_late_is_named_until_it_is_there() -> None:
    """The trades count it from its ex-date on; the broker does when the shares arrive."""
    bonus = ShareAdjustment("NSE:ALPHA", TUESDAY, 2.0)
    bought = fill(MONDAY, 15)
    before = compared(of(holding(settled=15)), bought, adjustments=(bonus,))
    assert [(row.at_broker, row.in_trades) for row in before.differences] == [(15, 30)]
    assert before.differences[0].text == (
        "the broker reports 15 shares, the stored trades leave 30; the split or bonus of 2026-07-14 "
        "(2 shares for each) may not be credited yet"
    )
    after = compared(of(holding(settled=30)), bought, adjustments=(bonus,))
    assert after.agrees


def test_a_bonus_with_a_fraction_is_recognized_by_whole_shares() -> None:
    bonus = ShareAdjustment("NSE:ALPHA", TUESDAY, 1.5)
    result = compared(of(holding(settled=15)), fill(MONDAY, 15), adjustments=(bonus,))
    assert result.differences[0].in_trades == 22
    assert "may not be credited yet" in result.differences[0].text


def test_a_bonus_does_not_explain_another_difference() -> None:
    old = ShareAdjustment("NSE:ALPHA", date(2026, 4, 1), 2.0)
    recent = ShareAdjustment("NSE:ALPHA", TUESDAY, 2.0)
    for action, at_broker in ((old, 15), (recent, 14)):
        result = compared(of(holding(settled=at_broker)), fill(date(2026, 3, 2), 15), adjustments=(action,))
        assert result.differences[0].text == (
            f"the broker reports {at_broker} shares, the stored trades leave 30"
        )


def test_what_is_no_share_for_delivery_is_named_and_left_out() -> None:
    financed = replace(holding(10), financed=1000)
    others = (
        position(bought=5, product="MIS"),
        position(bought=7, product="MTF"),
        position(bought=50, product="NRML", symbol="NFO:ALPHA26JULFUT"),
    )
    result = compared(of(financed, *others), fill(MONDAY, 10))
    assert result.agrees
    assert [(row.symbol, row.quantity, row.reason) for row in result.left_out] == [
        ("NSE:ALPHA", 1000, "margin trading facility"),
        ("NSE:ALPHA", 5, "product MIS: intraday"),
        ("NSE:ALPHA", 7, "product MTF: margin trading facility"),
        ("NFO:ALPHA26JULFUT", 50, "a contract on NFO, no shares"),
    ]


def test_a_holding_of_another_exchange_is_joined_by_isin_not_by_name() -> None:
    """ALPHALTD there is ALPHA here; a company of the same name there stays another one."""
    account = of(
        holding(4, symbol="BSE:ALPHALTD"),
        holding(9, symbol="BSE:ALPHA", isin=OTHER_ISIN),
        position(bought=6),
    )
    result = compared(account, fill(MONDAY, 10), symbols_by_isin={ISIN: "NSE:ALPHA"})
    assert {row.symbol: row.quantity for row in result.companies} == {"NSE:ALPHA": 10, "BSE:ALPHA": 9}
    assert result.differences == ()
    assert [lot.symbol for lot in result.unknown_lots] == ["BSE:ALPHA"]
    assert result.notices == ("BSE:ALPHA: its ISIN names no symbol of NSE",)


def test_the_accounts_own_rows_join_exchanges_too() -> None:
    """A row of NSE says which company the ISIN of a row of BSE is."""
    account = of(holding(4, symbol="BSE:ALPHALTD"), holding(6), position(sold=1, symbol="BSE:ALPHALTD"))
    result = compared(account, fill(MONDAY, 10), fill(WEDNESDAY, -1))
    assert [(row.symbol, row.isin, row.quantity) for row in result.companies] == [("NSE:ALPHA", ISIN, 9)]
    assert result.agrees


def test_a_series_does_not_make_another_company() -> None:
    """The broker writes ALPHA-BE for a share that was moved to trade for trade."""
    result = compared(of(holding(10, symbol="NSE:ALPHA-BE")), fill(MONDAY, 10))
    assert [row.symbol for row in result.companies] == ["NSE:ALPHA"]
    assert result.agrees


def test_differences_are_listed_on_both_sides() -> None:
    account = of(holding(12), holding(5, symbol="NSE:BETA", isin=OTHER_ISIN))
    sold = fill(TUESDAY, -5, symbol="NSE:BETA")
    result = compared(
        account,
        fill(MONDAY, 10),
        fill(MONDAY, 5, symbol="NSE:BETA"),
        sold,
        fill(MONDAY, 3, symbol="NSE:GAMMA"),
    )
    assert [(row.symbol, row.at_broker, row.in_trades) for row in result.differences] == [
        ("NSE:ALPHA", 12, 10),
        ("NSE:BETA", 5, 0),
        ("NSE:GAMMA", 0, 3),
    ]
    assert result.unknown_lots == ()


def test_a_holding_without_trades_is_a_lot_of_unknown_date_without_r() -> None:
    """At the average of the holding and of what was bought today; its number is a new one."""
    account = of(
        holding(10), holding(30, symbol="NSE:BETA", isin=OTHER_ISIN), position(bought=10, symbol="NSE:BETA")
    )
    result = compared(account, fill(MONDAY, 10))
    assert result.differences == ()
    assert result.unknown_lots == (Lot(number=2, symbol="NSE:BETA", opened=None, quantity=40, entry=102.5),)
    assert result.unknown_lots[0].risk_per_share is None
    assert not result.agrees


def test_a_holding_without_a_price_is_a_difference_and_no_lot() -> None:
    """A lot at a cost of 0 would show a gain that nobody made."""
    result = compared(of(holding(10, price=0.0)))
    assert result.unknown_lots == ()
    assert [(row.at_broker, row.in_trades) for row in result.differences] == [(10, 0)]


def test_sums_that_are_not_those_of_the_parts_are_named() -> None:
    """Here the settled shares seem to contain the pledged ones."""
    odd = replace(holding(10, pledged=4), net_quantity=6, opening=10)
    result = compared(of(odd), fill(MONDAY, 10))
    assert result.notices == (
        "NSE:ALPHA: the broker's own sums are not those of its settled, T1 and pledged shares",
    )
    assert [(row.at_broker, row.in_trades) for row in result.differences] == [(14, 10)]


def test_what_the_broker_says_of_a_holding_is_passed_on() -> None:
    marked = replace(holding(10), short=2, has_discrepancy=True)
    assert compared(of(marked), fill(MONDAY, 10)).notices == (
        "NSE:ALPHA: the broker marks the holding as one with a discrepancy",
        "NSE:ALPHA: 2 bought shares were not delivered by the seller",
    )


def test_nothing_agrees_with_nothing() -> None:
    assert compared(BrokerAccount()).agrees


@given(st.tuples(COUNTS, COUNTS, COUNTS), COUNTS, COUNTS, st.sampled_from(["NSE:ALPHA", "BSE:ALPHALTD"]))
def test_the_quantity_is_the_sum_of_its_parts_wherever_they_are(
    held: tuple[int, int, int], bought: int, sold: int, symbol: str
) -> None:
    """Also where the parts lie on two exchanges, and whatever else is left out."""
    settled, unsettled, pledged = held
    account = of(
        holding(settled, unsettled),
        holding(pledged=pledged, symbol=symbol),
        position(bought, sold, symbol=symbol),
        position(bought, product="MIS"),
    )
    result = compared(account, symbols_by_isin={ISIN: "NSE:ALPHA"})
    assert [row.quantity for row in result.companies] == [settled + unsettled + pledged + bought - sold]
    lots, differences = len(result.unknown_lots), len(result.differences)
    assert lots + differences == (result.companies[0].quantity != 0)
