"""From a setup to what is to be bought: where to enter, where to get out."""

from vcpd.analysis.sizing import Plan
from vcpd.domain.errors import BadInputError
from vcpd.domain.setups import Setup


def plan_of(
    setup: Setup,
    equity: float,
    *,
    entry: float | None = None,
    stop: float | None = None,
    lot_size: int = 1,
) -> Plan:
    """The plan for a setup: in where its buy zone begins, or at the close above that; out at its stop.

    `entry` and `stop` win over the setup's own. Raises BadInputError where neither gives a price.
    """
    chosen_entry = _entry(setup) if entry is None else entry
    chosen_stop = setup.stop if stop is None else stop
    if chosen_entry is None or chosen_stop is None:
        why = setup.reason or "it has no base"
        raise BadInputError(
            f"{setup.symbol}: no pivot and stop ({why}): give an entry and a stop of your own"
        )
    return Plan(
        symbol=setup.symbol,
        entry=chosen_entry,
        stop=chosen_stop,
        equity=equity,
        lot_size=lot_size,
        standing=_standing(setup),
    )


def _entry(setup: Setup) -> float | None:
    if setup.pivot is None:
        return None
    begin = setup.buy_zone[0] if setup.buy_zone else setup.pivot
    return max(begin, setup.close or 0.0)


def _standing(setup: Setup) -> str:
    """What a buyer should know before any arithmetic: the base's state, and whether it is a setup."""
    if setup.state is None:
        return f"no setup: {setup.reason or 'it has no base'}"
    base = f"{setup.footprint}, {setup.state}"
    if setup.passed:
        return f"{base}: every gate holds"
    if setup.events:
        return f"{base}: followed since {setup.events[0].session}"
    return f"{base}, no setup: {setup.nearest_miss or 'its base is over'}"
