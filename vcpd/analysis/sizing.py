"""Position sizing: quantity within the risk budget and the caps, with every step shown."""

import math
from typing import Final

import msgspec

from vcpd.analysis.sizing_parameters import SizingParameters, StopChoice
from vcpd.core.errors import BadInputError
from vcpd.domain.facts import NARROW_BAND_PCT
from vcpd.domain.instruments import TRADE_FOR_TRADE_BAND_PCT, is_trade_for_trade
from vcpd.domain.risk import RiskScore
from vcpd.domain.setups import Setup

PERCENT: Final = 100.0


class HeatLimit(msgspec.Struct, frozen=True):
    """How much more the account may put at risk beside what it holds, and the cap of [heat] that says so."""

    available: float
    cap: str


class SizingChoice(msgspec.Struct, frozen=True, kw_only=True):
    """What a user chooses for one position; None takes a value from the setup or the settings."""

    equity: float | None = None
    risk_pct: float | None = None
    entry: float | None = None
    stop: float | None = None
    lot_size: int = 1
    heat: HeatLimit | None = None  # None: nothing is known of what is held


class OtherStop(msgspec.Struct, frozen=True):
    """A stop of the same base that is not the one to size by."""

    name: StopChoice
    price: float


class PositionPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be bought and from how large an account; prices and equity in one currency."""

    symbol: str
    entry: float
    stop: float
    equity: float
    lot_size: int = 1
    heat: HeatLimit | None = None
    base_status: str | None = None  # its base's state, reported as the first step
    stop_name: str = "given"  # `capped` and `structural` are the base's own
    other_stops: tuple[OtherStop, ...] = ()
    price_band_pct: float | None = None  # as a list or a quote of the market states it


class SizingStep(msgspec.Struct, frozen=True):
    """One step of the arithmetic. A cap carries the quantity it allows, None where it limits nothing."""

    name: str
    text: str
    value: float | None
    quantity: int | None = None
    bound: bool = False  # this cap gave the quantity


class Sizing(msgspec.Struct, frozen=True, kw_only=True):
    """A quantity with every step of its calculation; `reason` says why there is none."""

    symbol: str
    entry: float
    stop: float
    quantity: int
    value: float
    risk_amount: float  # lost when the stop is hit
    risk_pct: float  # the same in percent of equity
    bound_by: str | None
    steps: tuple[SizingStep, ...]
    stop_name: str = "given"
    reason: str | None = None
    market: str | None = None  # what the market does, for whoever decides: it changes no quantity


def size_of_setup(
    setup: Setup, risk: RiskScore | None, parameters: SizingParameters, choice: SizingChoice
) -> Sizing:
    """The size of a position in a setup: the one rule of page, port, command line and alerts.

    Raises BadInputError where neither choice nor settings give the equity, or the setup gives no price.
    """
    equity = choice.equity or parameters.equity
    if not equity:
        raise BadInputError(
            "equity: expected the value of the account, or [size] equity in the configuration"
        )
    if choice.risk_pct is not None:
        parameters = msgspec.structs.replace(parameters, risk_pct=choice.risk_pct)
    plan = position_plan(
        setup, equity, entry=choice.entry, stop=choice.stop, stop_choice=parameters.stop_choice
    )
    plan = msgspec.structs.replace(plan, lot_size=choice.lot_size, heat=choice.heat)
    return position_size(plan, risk, parameters)


def position_size(plan: PositionPlan, risk: RiskScore | None, parameters: SizingParameters) -> Sizing:
    """The largest whole quantity within the risk budget and every cap.

    `risk` gives the band and the median traded value; what it does not know counts against the
    quantity: an unknown band as extreme, an unknown traded value as no quantity at all.
    Raises BadInputError when the plan's numbers make no sense.
    """
    _validate(plan)
    caps = _caps(plan, risk, parameters)
    narrowest = min(caps, key=lambda cap: math.inf if cap.quantity is None else cap.quantity)
    lots = (narrowest.quantity or 0) // plan.lot_size
    quantity = lots * plan.lot_size
    caps = [msgspec.structs.replace(cap, bound=cap is narrowest) for cap in caps]
    lot_step = SizingStep(
        "lot", f"rounded down to lots of {plan.lot_size}: {quantity:,}", float(plan.lot_size), quantity
    )
    risk_amount = quantity * (plan.entry - plan.stop)
    return Sizing(
        symbol=plan.symbol,
        entry=plan.entry,
        stop=plan.stop,
        quantity=quantity,
        value=quantity * plan.entry,
        risk_amount=risk_amount,
        risk_pct=PERCENT * risk_amount / plan.equity,
        bound_by=narrowest.name,
        steps=(
            *_status_steps(plan),
            *_budget_steps(plan, parameters),
            *caps,
            lot_step,
            *_other_steps(plan, risk, parameters),
        ),
        stop_name=plan.stop_name,
        reason=None if quantity else _zero_reason(narrowest, plan),
    )


def _validate(plan: PositionPlan) -> None:
    numbers = {"entry": plan.entry, "stop": plan.stop, "equity": plan.equity, "lot size": plan.lot_size}
    for name, number in numbers.items():
        if not (math.isfinite(number) and number > 0):
            raise BadInputError(f"{plan.symbol}: {name} must be a number above 0, was {number:g}")
    if plan.stop >= plan.entry:
        raise BadInputError(f"{plan.symbol}: the stop {plan.stop:g} must lie below the entry {plan.entry:g}")


def _status_steps(plan: PositionPlan) -> tuple[SizingStep, ...]:
    return () if plan.base_status is None else (SizingStep("setup", plan.base_status, None),)


def _budget_steps(plan: PositionPlan, parameters: SizingParameters) -> tuple[SizingStep, SizingStep]:
    budget = plan.equity * parameters.risk_pct / PERCENT
    distance = plan.entry - plan.stop
    distance_pct = PERCENT * distance / plan.entry
    return (
        SizingStep("budget", f"{parameters.risk_pct:g} % of {plan.equity:,.0f} = {budget:,.2f}", budget),
        SizingStep(
            "risk_per_share",
            f"{plan.entry:,.2f} - {plan.stop:,.2f} = {distance:,.2f} ({distance_pct:.1f} %)",
            distance,
        ),
    )


def _other_steps(
    plan: PositionPlan, risk: RiskScore | None, parameters: SizingParameters
) -> list[SizingStep]:
    """What the base's other stop would mean; it limits nothing."""
    steps = []
    for other in plan.other_stops:
        if math.isclose(other.price, plan.stop, rel_tol=1e-9):
            text = f"the {other.name} stop is the same"
        elif other.price >= plan.entry:
            text = f"the {other.name} stop {other.price:,.2f} is not below the entry"
        else:
            found = position_size(
                msgspec.structs.replace(plan, stop=other.price, other_stops=()), risk, parameters
            )
            distance_pct = PERCENT * (plan.entry - other.price) / plan.entry
            text = (
                f"with the {other.name} stop {other.price:,.2f} ({distance_pct:.1f} %): {found.quantity:,} "
                f"shares, at risk {found.risk_amount:,.2f}"
            )
        steps.append(SizingStep("other_stop", text, other.price))
    return steps


def _caps(plan: PositionPlan, risk: RiskScore | None, parameters: SizingParameters) -> list[SizingStep]:
    """The quantity that each cap alone allows; of equal ones the earlier is named as the binding one."""
    return [
        _stop_cap(plan, parameters),
        _risk_cap(plan, parameters),
        _band_cap(plan, risk, parameters),
        _position_cap(plan, parameters),
        _liquidity_cap(plan, risk, parameters),
        *_price_band_caps(plan, parameters),
        *_heat_caps(plan),
    ]


def _shares(amount: float, price: float) -> int:
    # a budget that buys a whole number must not lose one share to rounding
    return math.floor(amount / price + 1e-9)


def _stop_cap(plan: PositionPlan, parameters: SizingParameters) -> SizingStep:
    distance_pct = PERCENT * (plan.entry - plan.stop) / plan.entry
    fits = distance_pct <= parameters.stop_pct + 1e-9
    text = f"stop {distance_pct:.1f} % below the entry, at most {parameters.stop_pct:g} %"
    return SizingStep("stop", text, distance_pct, None if fits else 0)


def _risk_cap(plan: PositionPlan, parameters: SizingParameters) -> SizingStep:
    budget = plan.equity * parameters.risk_pct / PERCENT
    quantity = _shares(budget, plan.entry - plan.stop)
    return SizingStep(
        "risk",
        f"budget {budget:,.2f} / risk a share {plan.entry - plan.stop:,.2f} = {quantity:,}",
        budget,
        quantity,
    )


def _band_cap(plan: PositionPlan, risk: RiskScore | None, parameters: SizingParameters) -> SizingStep:
    band = risk.band if risk else None
    share = parameters.share_of(band)
    budget = plan.equity * parameters.risk_pct / PERCENT * share
    quantity = _shares(budget, plan.entry - plan.stop)
    name = f"{band} risk after {risk.as_of}" if risk and band else "risk score unknown, taken as extreme"
    return SizingStep("band", f"{name}: {share:g} x the budget = {quantity:,}", share, quantity)


def _position_cap(plan: PositionPlan, parameters: SizingParameters) -> SizingStep:
    limit = plan.equity * parameters.position_pct / PERCENT
    quantity = _shares(limit, plan.entry)
    text = f"{parameters.position_pct:g} % of equity = {limit:,.0f}: {quantity:,}"
    return SizingStep("position", text, limit, quantity)


def _liquidity_cap(plan: PositionPlan, risk: RiskScore | None, parameters: SizingParameters) -> SizingStep:
    traded = risk.metrics.get("median_traded_value") if risk else None
    if not isinstance(traded, float | int):
        return SizingStep("liquidity", "median traded value unknown: no quantity can be justified", None, 0)
    limit = traded * parameters.liquidity_pct / PERCENT
    quantity = _shares(limit, plan.entry)
    text = f"{parameters.liquidity_pct:g} % of a median session's {traded:,.0f} = {limit:,.0f}: {quantity:,}"
    return SizingStep("liquidity", text, limit, quantity)


def _price_band_caps(plan: PositionPlan, parameters: SizingParameters) -> list[SizingStep]:
    """What the budget allows where sellers may find no buyer at the stop: an unknown band caps nothing."""
    sessions, band = parameters.locked_sessions, _price_band(plan)
    if not sessions or band is None or band > NARROW_BAND_PCT:
        return []
    exit_price = plan.stop * (1 - band / PERCENT) ** sessions
    budget = plan.equity * parameters.risk_pct / PERCENT
    quantity = _shares(budget, plan.entry - exit_price)
    counted = f"{sessions} session{'' if sessions == 1 else 's'}"
    settles = "trade for trade, " if is_trade_for_trade(plan.symbol) else ""
    text = (
        f"{settles}price band {band:g} %: after {counted} at the lower limit "
        f"below the stop, at {exit_price:,.2f}, a share loses {plan.entry - exit_price:,.2f}: {quantity:,}"
    )
    return [SizingStep("price_band", text, exit_price, quantity)]


def _price_band(plan: PositionPlan) -> float | None:
    """The daily price band in percent: the stated one, else the widest of its series; None where unknown."""
    if plan.price_band_pct is None and is_trade_for_trade(plan.symbol):
        return TRADE_FOR_TRADE_BAND_PCT
    return plan.price_band_pct


def _heat_caps(plan: PositionPlan) -> list[SizingStep]:
    """What the caps on all open risk together leave beside the positions that are held."""
    if plan.heat is None:
        return []
    quantity = _shares(plan.heat.available, plan.entry - plan.stop)
    text = (
        f"beside what is held, [heat] {plan.heat.cap} leaves {plan.heat.available:,.0f} at risk: {quantity:,}"
    )
    return [SizingStep("heat", text, plan.heat.available, quantity)]


def _zero_reason(narrowest: SizingStep, plan: PositionPlan) -> str:
    if narrowest.quantity:
        return f"less than one lot of {plan.lot_size}: {narrowest.text}"
    return f"0 shares: {narrowest.text}"


def position_plan(
    setup: Setup,
    equity: float,
    *,
    entry: float | None = None,
    stop: float | None = None,
    stop_choice: StopChoice = "capped",
) -> PositionPlan:
    """The plan for a setup: in where its buy zone begins, or at the close above that; out at its chosen stop.

    `entry` and `stop` win over the setup's own. Raises BadInputError where neither gives a price.
    """
    stops: dict[StopChoice, float | None] = {"capped": setup.stop, "structural": setup.structural_stop}
    if stops[stop_choice] is None:
        stop_choice = "capped"  # a verdict of before the structural stop was kept
    chosen_entry = _default_entry(setup) if entry is None else entry
    chosen_stop = stops[stop_choice] if stop is None else stop
    if chosen_entry is None or chosen_stop is None:
        why = setup.reason or "it has no base"
        raise BadInputError(
            f"{setup.symbol}: no pivot and stop ({why}): give an entry and a stop of your own"
        )
    return PositionPlan(
        symbol=setup.symbol,
        entry=chosen_entry,
        stop=chosen_stop,
        equity=equity,
        base_status=_base_status(setup),
        stop_name=stop_choice if stop is None else "given",
        price_band_pct=None if setup.facts is None else setup.facts.price_band_pct,
        other_stops=tuple(
            OtherStop(name, price)
            for name, price in stops.items()
            if price is not None and (stop is not None or name != stop_choice)
        ),
    )


def _default_entry(setup: Setup) -> float | None:
    if setup.pivot is None:
        return None
    begin = setup.buy_zone[0] if setup.buy_zone else setup.pivot
    return max(begin, setup.close or 0.0)


def _base_status(setup: Setup) -> str:
    """Describe the state of the base, and whether it is a setup."""
    if setup.state is None:
        return f"no setup: {setup.reason or 'it has no base'}"
    base = f"{setup.footprint}, {setup.state}"
    if setup.passed:
        return f"{base}: every gate holds"
    if setup.events:
        return f"{base}: followed since {setup.events[0].session}"
    return f"{base}, no setup: {setup.nearest_miss or 'its base is over'}"
