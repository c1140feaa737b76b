"""Too little trading keeps a symbol out, with the reason."""

import pytest

from tests.jobs.sample_market import history
from vcpd.domain.panel import build_panel
from vcpd.domain.quality_rules import USER_FILTER_RULES, QualityRule
from vcpd.jobs.panel_refresh import QualityFilterParams, flag_symbols

PANEL = build_panel([history("NSE:A", price=100.0), history("NSE:B", price=5.0)])


@pytest.mark.parametrize(
    ("measures", "rule"),
    [
        (QualityFilterParams(min_price=20.0), QualityRule.PRICE_BELOW_MINIMUM),
        (QualityFilterParams(min_traded_value=50_000.0), QualityRule.TRADED_VALUE_BELOW_MINIMUM),
    ],
)
def test_a_share_below_the_minimum_is_left_out(measures: QualityFilterParams, rule: QualityRule) -> None:
    found = flag_symbols(PANEL, range(2), measures)
    assert found.symbols == ("NSE:A", "NSE:B")
    assert [(flag.symbol, flag.rule, flag.excludes) for flag in found.flags] == [("NSE:B", rule, True)]
    assert "the minimum is" in found.flags[0].reason


def test_without_minimums_no_symbol_is_left_out() -> None:
    assert not flag_symbols(PANEL, range(2), QualityFilterParams()).flags


def test_a_share_that_trades_too_rarely_is_left_out_as_the_user_asked() -> None:
    panel = build_panel([history("NSE:A", price=100.0), history("NSE:B", price=50.0)])
    panel.values[1:3, 1, -10:] = panel.values[3, 1, -10:]  # high and low are the close
    (flag,) = flag_symbols(panel, range(2), QualityFilterParams(max_idle_pct=10.0)).flags
    assert (flag.symbol, flag.rule, flag.excludes) == ("NSE:B", QualityRule.RARELY_TRADED, True)
    assert flag.rule in USER_FILTER_RULES
    assert "had no volume or no range" in flag.reason
    assert not flag_symbols(panel, range(2), QualityFilterParams()).flags
