"""Position size: the budget divided by the distance to the stop, caps, and every step in words."""

from datetime import date

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcpd.analysis.sizing import HeatLimit, PositionPlan, Sizing, position_size
from vcpd.analysis.sizing_parameters import SizingParameters
from vcpd.core.errors import BadInputError
from vcpd.domain.risk import RiskBand, RiskScore

PLAN = PositionPlan(symbol="NSE:INFY", entry=100.0, stop=95.0, equity=1_000_000.0)


def risk(band: RiskBand | None = RiskBand.LOW, traded: float | None = 1e9) -> RiskScore:
    return RiskScore(
        symbol="NSE:INFY",
        as_of=date(2025, 6, 30),
        score=None if band is None else 10.0,
        band=band,
        components={},
        metrics={"median_traded_value": traded},
    )


def sized(score: RiskScore | None, plan: PositionPlan = PLAN, **changes: float) -> Sizing:
    return position_size(plan, score, msgspec.convert(changes, SizingParameters))


def test_the_risk_budget_gives_the_quantity() -> None:
    """0.5 % of a million over 5 a share is a thousand shares, and losing them costs the budget."""
    sizing = sized(risk())
    assert (sizing.quantity, sizing.bound_by) == (1000, "risk")
    assert (sizing.value, sizing.risk_amount, sizing.risk_pct) == (100_000, 5_000, 0.5)
    assert [step.name for step in sizing.steps] == [
        "budget",
        "risk_per_share",
        "stop",
        "risk",
        "band",
        "position",
        "liquidity",
        "lot",
    ]
    assert [step.name for step in sizing.steps if step.bound] == ["risk"]
    assert sizing.steps[0].text == "0.5 % of 1,000,000 = 5,000.00"
    assert sizing.steps[4].text == "low risk after 2025-06-30: 1 x the budget = 1,000"


@pytest.mark.parametrize(
    ("score", "changes", "bound_by", "quantity"),
    [
        (risk(RiskBand.HIGH), {}, "band", 500),
        (risk(RiskBand.EXTREME), {}, "band", 250),
        (risk(None), {}, "band", 250),
        (risk(), {"position_pct": 5.0}, "position", 500),
        (risk(traded=2_000_000.0), {}, "liquidity", 200),
        (risk(traded=2_000_000.0), {"liquidity_pct": 2.0}, "liquidity", 400),
    ],
)
def test_the_narrowest_cap_binds(
    score: RiskScore, changes: dict[str, float], bound_by: str, quantity: int
) -> None:
    """Each cap in turn is the smallest, says so, and gives the quantity."""
    sizing = sized(score, PLAN, **changes)
    assert (sizing.bound_by, sizing.quantity) == (bound_by, quantity)
    assert [step.quantity for step in sizing.steps if step.bound] == [quantity]


@pytest.mark.parametrize("score", [None, risk(traded=None)], ids=["no risk row", "no volume"])
def test_unknown_liquidity_is_never_a_pass(score: RiskScore | None) -> None:
    """Without a traded value nothing is bought, and the reason says why."""
    sizing = sized(score)
    assert sizing.quantity == 0
    assert sizing.reason == ("0 shares: median traded value unknown: no quantity can be justified")


def test_a_distant_stop_is_refused() -> None:
    """Risk beyond 10 % a share is no entry, whatever the budget; 10 % itself is one."""
    far = msgspec.structs.replace(PLAN, stop=89.0)
    refused = sized(risk(), far)
    assert (refused.quantity, refused.bound_by) == (0, "stop")
    assert refused.reason == ("0 shares: stop 11.0 % below the entry, at most 10 %")
    assert sized(risk(), msgspec.structs.replace(PLAN, stop=90.0)).quantity == 500


def test_a_stop_that_is_near_enough_is_not_what_refuses_a_small_account() -> None:
    """A budget of 25 paise buys no share: the budget says so, not the stop."""
    poor = sized(risk(), msgspec.structs.replace(PLAN, equity=50.0))
    assert (poor.quantity, poor.bound_by) == (0, "risk")
    assert poor.reason == "0 shares: budget 0.25 / risk a share 5.00 = 0"
    tiny = sized(risk(), msgspec.structs.replace(PLAN, equity=4.0))
    assert (tiny.quantity, tiny.bound_by) == (0, "risk")


def test_lots_are_whole() -> None:
    """Rounded down to the lot; less than one lot is a reason."""
    assert sized(risk(), msgspec.structs.replace(PLAN, lot_size=300)).quantity == 900
    small = sized(risk(), msgspec.structs.replace(PLAN, lot_size=5000))
    assert small.quantity == 0
    assert small.reason == "less than one lot of 5000: budget 5,000.00 / risk a share 5.00 = 1,000"


def test_what_is_held_leaves_less_to_risk() -> None:
    """The caps of [heat] bind beside all others, and say what fits."""
    held = msgspec.structs.replace(PLAN, heat=HeatLimit(1_250.0, "sector Banks"))
    found = sized(risk(), held)
    assert (found.quantity, found.bound_by) == (250, "heat")
    (step,) = (step for step in found.steps if step.name == "heat")
    assert step.text == "beside what is held, [heat] sector Banks leaves 1,250 at risk: 250"
    full = sized(risk(), msgspec.structs.replace(PLAN, heat=HeatLimit(0.0, "total")))
    assert full.quantity == 0
    assert full.reason == "0 shares: beside what is held, [heat] total leaves 0 at risk: 0"
    assert sized(risk(), msgspec.structs.replace(PLAN, heat=HeatLimit(1e9, "total"))).bound_by == "risk"


def locked(sessions: int = 2, symbol: str = "NSE:INFY-BE", **changes: float) -> Sizing:
    plan = msgspec.structs.replace(PLAN, symbol=symbol)
    return sized(risk(), plan, locked_sessions=sessions, **changes)


@pytest.mark.parametrize("series", ["BE", "BZ", "ST", "SZ"])
def test_a_share_in_a_narrow_price_band_is_sized_for_sessions_without_a_buyer(series: str) -> None:
    """95 less 5 % twice is 85.7375: a share loses 14.2625, and the budget of 5,000 pays for 350."""
    found = locked(symbol=f"NSE:INFY-{series}")
    assert (found.quantity, found.bound_by) == (350, "price_band")
    (step,) = (step for step in found.steps if step.name == "price_band")
    assert step.bound
    assert step.text == (
        "trade for trade, price band 5 %: after 2 sessions at the lower limit below the stop, "
        "at 85.74, a share loses 14.26: 350"
    )


@pytest.mark.parametrize("symbol", ["NSE:INFY", "NSE:INFY-SM", "NSE:BAJAJ-AUTO", "NSE:ABE", "NSE:BE"])
def test_an_unknown_price_band_caps_nothing(symbol: str) -> None:
    found = locked(symbol=symbol)
    assert (found.quantity, found.bound_by) == (1000, "risk")
    assert "price_band" not in {step.name for step in found.steps}


@pytest.mark.parametrize(
    ("symbol", "band_pct", "quantity", "text"),
    [
        ("NSE:INFY", 5.0, 350, "price band 5 %: after 2 sessions"),
        ("NSE:INFY", 2.0, 570, "price band 2 %: after 2 sessions"),  # 95 x 0.98 x 0.98 = 91.238
        ("NSE:INFY-BE", 2.0, 570, "trade for trade, price band 2 %: after 2 sessions"),
        ("NSE:INFY", 10.0, 1000, None),
        ("NSE:INFY-BE", 20.0, 1000, None),  # what the list says wins over the series
    ],
)
def test_a_listed_price_band_counts_before_that_of_the_series(
    symbol: str, band_pct: float, quantity: int, text: str | None
) -> None:
    plan = msgspec.structs.replace(PLAN, symbol=symbol, price_band_pct=band_pct)
    found = sized(risk(), plan, locked_sessions=2)
    steps = [step.text for step in found.steps if step.name == "price_band"]
    assert found.quantity == quantity
    assert [step.startswith(text) for step in steps] == [True] if text else steps == []


def test_the_sessions_without_a_buyer_are_configured() -> None:
    """None of them is no cap at all; one of them loses 9.75 a share. Another cap may still be narrower."""
    assert "price_band" not in {step.name for step in locked(0).steps}
    assert locked(0).quantity == 1000
    assert (locked(1).quantity, locked(1).bound_by) == (512, "price_band")
    assert "after 1 session at" in next(step.text for step in locked(1).steps if step.name == "price_band")
    assert (locked(position_pct=2.0).quantity, locked(position_pct=2.0).bound_by) == (200, "position")


@given(
    entry=st.floats(1, 5000),
    distance=st.floats(0.001, 0.1),
    sessions=st.integers(1, 20),
    equity=st.floats(1e4, 1e9),
)
def test_locked_sessions_never_lose_more_than_the_budget(
    entry: float, distance: float, sessions: int, equity: float
) -> None:
    stop = entry * (1 - distance)
    plan = PositionPlan(symbol="NSE:A-BE", entry=entry, stop=stop, equity=equity)
    found = sized(risk(), plan, locked_sessions=sessions, position_pct=100.0)
    price = stop
    for _ in range(sessions):
        price *= 0.95  # the lower limit of the next session
    assert found.quantity * (entry - price) <= equity * 0.005 * (1 + 1e-6) + entry * 1e-6


def test_rounding_does_not_cost_a_share() -> None:
    """0.3 / 0.1 is three, though floats say 2.99."""
    plan = PositionPlan(symbol="A", entry=1.3, stop=1.2, equity=60.0)
    assert sized(risk(), plan, position_pct=100.0).quantity == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stop": 100.0}, "the stop 100 must lie below the entry 100"),
        ({"entry": 0.0}, "entry must be a number above 0, was 0"),
        ({"equity": float("nan")}, "equity must be a number above 0, was nan"),
        ({"lot_size": 0}, "lot size must be a number above 0, was 0"),
    ],
)
def test_senseless_plans_are_refused(change: dict[str, float], message: str) -> None:
    """The error names symbol, number and what was expected."""
    with pytest.raises(BadInputError, match=f"NSE:INFY: .*{message}"):
        sized(risk(), msgspec.structs.replace(PLAN, **change))


@given(
    entry=st.floats(1, 5000),
    distance=st.floats(0.001, 0.3),
    equity=st.floats(1000, 1e9),
    traded=st.floats(0, 1e10),
    band=st.sampled_from([*RiskBand, None]),
)
def test_no_limit_is_ever_exceeded(
    entry: float, distance: float, equity: float, traded: float, band: RiskBand | None
) -> None:
    """Risk, position and liquidity stay within their limits for any numbers."""
    plan = PositionPlan(symbol="A", entry=entry, stop=entry * (1 - distance), equity=equity)
    sizing = sized(risk(band, traded), plan)
    rounding = 1 + 1e-6
    share = SizingParameters().share_of(band)
    assert sizing.quantity >= 0
    assert sizing.risk_pct <= 0.5 * share * rounding
    assert sizing.value <= 0.2 * equity * rounding
    assert sizing.value <= 0.01 * traded * rounding + entry * 1e-6
    assert (sizing.quantity == 0) == (sizing.reason is not None)
