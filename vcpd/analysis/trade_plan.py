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
    """The plan for a setup: enter at its pivot, or at the close once that lies above; out at its stop.

    `entry` and `stop` win over the setup's own. Raises BadInputError where neither gives a price.
    """
    chosen_entry = _entry(setup) if entry is None else entry
    chosen_stop = setup.stop if stop is None else stop
    if chosen_entry is None or chosen_stop is None:
        why = setup.reason or "it has no base"
        raise BadInputError(
            f"{setup.symbol}: no pivot and stop ({why}): give an entry and a stop of your own"
        )
    return Plan(symbol=setup.symbol, entry=chosen_entry, stop=chosen_stop, equity=equity, lot_size=lot_size)


def _entry(setup: Setup) -> float | None:
    if setup.pivot is None:
        return None
    return max(setup.pivot, setup.close or 0.0)
