"""Too little trading keeps a symbol out, with the reason."""

import pytest

from tests.jobs.town import history
from vcpd.domain.panel import build_panel
from vcpd.domain.quality import Rule
from vcpd.jobs.doubts import Doubting, doubt

PANEL = build_panel([history("NSE:A", price=100.0), history("NSE:B", price=5.0)])


@pytest.mark.parametrize(
    ("measures", "rule"),
    [
        (Doubting(min_price=20.0), Rule.PRICE_BELOW_MINIMUM),
        (Doubting(min_traded_value=50_000.0), Rule.TRADED_VALUE_BELOW_MINIMUM),
    ],
)
def test_a_share_below_the_minimum_is_left_out(measures: Doubting, rule: Rule) -> None:
    found = doubt(PANEL, range(2), measures)
    assert found.symbols == ("NSE:A", "NSE:B")
    assert [(flag.symbol, flag.rule, flag.excludes) for flag in found.flags] == [("NSE:B", rule, True)]
    assert "asked for" in found.flags[0].reason


def test_without_minimums_nobody_is_left_out() -> None:
    assert not doubt(PANEL, range(2), Doubting()).flags
