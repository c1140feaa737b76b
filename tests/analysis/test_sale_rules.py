"""The sell rule behind a sale, whether it was followed, and what the journal before already says."""

from datetime import date
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcpd.analysis.costs import CostSettings
from vcpd.analysis.journal import journal_text, keep_journal
from vcpd.analysis.position_judgement import SymbolNotes
from vcpd.analysis.positions import PositionSettings
from vcpd.analysis.sale_rules import JournalMemory, SaleRule, find_sale_rule
from vcpd.analysis.sell_rules import SellRuleSettings
from vcpd.domain.bars import BarSeries
from vcpd.domain.portfolio import ClosedTrade
from vcpd.domain.position_notes import PurchaseNote

DAYS = np.arange("2025-01-01", "2025-03-02", dtype="M8[D]")
BOUGHT = 10
QUIET = SellRuleSettings(
    trail_sessions=0,
    time_sessions=0,
    breakeven_r=0,
    climax_gain_pct=0,
    strength_r=3,
    failed_breakout_sessions=5,
)
SETTINGS = PositionSettings(rules=QUIET, rule_sets={"patient": msgspec.structs.replace(QUIET, strength_r=0)})


def day(place: int) -> date:
    found: date = DAYS[place].item()
    return found


def prices(*corners: tuple[int, float]) -> BarSeries:
    """Half a rupee around closes that run straight from corner to corner (place, close), 100 before."""
    places, closes = zip((0, 100.0), (BOUGHT, 100.0), *corners, strict=True)
    close = np.interp(np.arange(len(DAYS)), places, closes)
    return BarSeries.from_columns("NSE:A", DAYS, (close, close + 0.5, close - 0.5, close), close)


def sold(place: int, *, rules: str = "default", quantity: int = 10) -> ClosedTrade:
    return ClosedTrade(
        number=1,
        symbol="NSE:A",
        opened=day(BOUGHT),
        closed=day(place),
        quantity=quantity,
        entry=100.0,
        exit=95.0,
        stop=90.0,
        rules=rules,
    )


FALLING = prices((20, 90.4), (40, 80.0))  # its low reaches the stop on session 20
RISING = prices((20, 131.0), (40, 140.0))  # its high reaches 3 R on session 20


@pytest.mark.parametrize(
    ("series", "place", "rules", "expected"),
    [
        (FALLING, 19, "default", SaleRule()),
        (FALLING, 20, "default", SaleRule(rule="initial_stop", rule_session=day(20), followed=True)),
        (FALLING, 21, "default", SaleRule(rule="initial_stop", rule_session=day(20), followed=True)),
        (FALLING, 22, "default", SaleRule(rule="initial_stop", rule_session=day(20), followed=False)),
        (FALLING, 35, "default", SaleRule(rule="initial_stop", rule_session=day(20), followed=False)),
        (RISING, 21, "default", SaleRule(rule="strength", rule_session=day(20), followed=True)),
        (RISING, 30, "default", SaleRule()),  # only a part was to be sold
        (RISING, 21, "patient", SaleRule()),
    ],
)
def test_the_rule_behind_a_sale(series: BarSeries, place: int, rules: str, expected: SaleRule) -> None:
    trade = sold(place, rules=rules)
    assert find_sale_rule(trade, series, SETTINGS, SymbolNotes()) == expected


def test_the_pivot_of_the_purchase_counts() -> None:
    series = prices((12, 98.0), (40, 120.0))
    failed = find_sale_rule(sold(12), series, SETTINGS, SymbolNotes(pivots={day(BOUGHT): 99.5}))
    assert failed == SaleRule(rule="failed_breakout", rule_session=day(11), followed=True)
    assert find_sale_rule(sold(12), series, SETTINGS, SymbolNotes()) == SaleRule()


def test_without_bars_or_day_no_rule_is_known() -> None:
    undated = msgspec.structs.replace(sold(20), opened=None)
    memory = JournalMemory(SETTINGS)
    assert memory.sale_rule(undated, {"NSE:A": FALLING}, None) == SaleRule()
    assert memory.sale_rule(sold(20), {}, None) == SaleRule()
    assert find_sale_rule(sold(20), FALLING.until(date(2024, 1, 1)), SETTINGS, SymbolNotes()) == SaleRule()


def test_a_journal_groups_its_sales_and_the_next_one_remembers_them() -> None:
    """Thresholds that change later do not change what was found; a trade that is new is looked for."""
    trades = [sold(place, quantity=place) for place in (19, 20, 30)]
    bars = {"NSE:A": FALLING}
    first = keep_journal(trades, bars, memory=JournalMemory(SETTINGS))
    assert {name: group.trades for name, group in first.by_rule.items()} == {
        "no rule fired": 1,
        "rule followed": 1,
        "rule not followed": 1,
    }
    text = msgspec.json.encode(first).decode()
    other = PositionSettings(rules=msgspec.structs.replace(QUIET, time_sessions=2))
    more = [*trades, sold(31, quantity=31)]
    second = keep_journal(more, bars, memory=JournalMemory(other, text))
    assert second.entries[:3] == first.entries
    assert (second.entries[3].rule, second.entries[3].rule_session) == ("time_stop", day(12))
    assert keep_journal(trades, bars, memory=JournalMemory(other)).entries[0].rule == "time_stop"
    week_after = JournalMemory(other, text, day(27))  # the bars of the first sale alone are older
    rules = [entry.rule for entry in keep_journal(trades, bars, memory=week_after).entries]
    assert rules == [None, "initial_stop", "time_stop"]


def test_a_journal_is_made_anew_only_where_something_in_it_differs() -> None:
    """Bars, trades, purchases and rates each make another one; thresholds and the evening alone do not."""
    trades, bars, costs = [sold(20), sold(30, quantity=3)], {"NSE:A": FALLING}, CostSettings()
    bought = [PurchaseNote(symbol="NSE:A", session=day(BOUGHT), score=71.0)]

    def written(memory: JournalMemory, **changes: Any) -> str:
        parts: dict[str, Any] = {"closed": trades, "bars": bars, "purchases": bought, "costs": costs}
        return journal_text(**{**parts, **changes}, memory=memory)

    first = written(JournalMemory(SETTINGS))
    late = JournalMemory(PositionSettings(), first, date(2026, 1, 5))
    assert written(late) is late.text
    higher = prices((20, 90.4), (25, 120.0), (40, 80.0))
    different: list[dict[str, Any]] = [
        {"closed": trades[:1]},
        {"bars": {"NSE:A": higher}},
        {"purchases": []},
        {"costs": CostSettings(brokerage_pct=0.5)},
    ]
    for changes in different:
        assert written(JournalMemory(SETTINGS, first, date(2026, 1, 5)), **changes) != first
    recent = written(JournalMemory(PositionSettings(rules=SellRuleSettings(time_sessions=2)), first, day(31)))
    assert recent != first, "the rule of a sale of the last days is found anew"


@given(evenings=st.lists(st.sets(st.integers(12, 38)), min_size=1, max_size=3), wave=st.floats(0.0, 30.0))
@settings(max_examples=8, deadline=None)
def test_evening_by_evening_it_is_the_journal_that_would_be_made_anew(
    evenings: list[set[int]], wave: float
) -> None:
    """Each evening sells more, on earlier sessions too; its last bar falls and is another the day after."""
    text, trades = None, list[ClosedTrade]()
    bought = [PurchaseNote(symbol="NSE:A", session=day(BOUGHT), footprint="9W 20/5 3T")]
    for evening, places in enumerate(evenings):
        last = 40 + 5 * evening
        trades += [sold(place, quantity=len(trades) + place) for place in sorted({*places, last})]
        close = 100 + wave * np.sin(np.arange(last + 1) / 3)
        close[-1] = 80.0
        bars = {"NSE:A": BarSeries.from_columns("NSE:A", DAYS[: last + 1], (close,) * 4, close)}
        kept, anew = (
            journal_text(
                list(trades), bars, bought, CostSettings(), JournalMemory(SETTINGS, known, day(last))
            )
            for known in (text, None)
        )
        text = kept
        assert msgspec.json.decode(kept) == msgspec.json.decode(anew)


def test_a_journal_of_an_earlier_version_says_nothing_of_rules() -> None:
    old = keep_journal([sold(20)], {"NSE:A": FALLING})
    assert (old.intervals, old.by_rule, old.entries[0].rule) == (None, {}, None)
    memory = JournalMemory(SETTINGS, msgspec.json.encode(old).decode())
    assert memory.sale_rule(sold(20), {"NSE:A": FALLING}, None).rule == "initial_stop"


def test_the_bounds_of_the_same_results_are_not_drawn_again() -> None:
    results = np.linspace(-1.0, 3.0, 40)
    first = JournalMemory(SETTINGS)
    bounds = first.interval(results)
    assert first.interval(results[::-1].copy()) == bounds
    ((name, _),) = first.intervals.items()
    text = msgspec.json.encode({"entries": [], "intervals": {name: [-7.0, 7.0]}}).decode()
    second = JournalMemory(SETTINGS, text)
    assert second.interval(results) == (-7.0, 7.0)
    assert second.interval(results[1:]) != (-7.0, 7.0)
