"""What a channel wants to hear."""

from collections.abc import Sequence
from typing import Final

import msgspec

from vcpd.alerts.facts import Facts
from vcpd.alerts.settings import ChannelSettings
from vcpd.domain.alerts import Alert, AlertKind

NOT_FOR_PEOPLE: Final = frozenset({AlertKind.GOOD_NIGHT})
PING_ONLY: Final = ChannelSettings(kinds=tuple(NOT_FOR_PEOPLE), quiet_hours=False, picture=False)


def wants(choice: ChannelSettings, alert: Alert) -> bool:
    """By its kind, and for setups by rating and score; of a digest, one good row is enough."""
    chosen = alert.kind in choice.kinds if choice.kinds else alert.kind not in NOT_FOR_PEOPLE
    if not chosen:
        return False
    if alert.items:
        return any(_is_good(choice, item) for item in alert.items)
    return alert.symbol is None or _is_good(choice, alert.facts)


def narrowed(choice: ChannelSettings, alert: Alert) -> Alert:
    """The alert with the rows that the channel wants."""
    return msgspec.structs.replace(alert, items=tuple(item for item in alert.items if _is_good(choice, item)))


def batches(alerts: Sequence[Alert], most_apart: int) -> list[list[Alert]]:
    """One by one, or where there are more than `most_apart` (0: no limit) together; digests stay apart."""
    apart = [[alert] for alert in alerts if alert.items]
    single = [alert for alert in alerts if not alert.items]
    if most_apart and len(single) > most_apart:
        return [single, *apart]
    return [[alert] for alert in single] + apart


def _is_good(choice: ChannelSettings, facts: Facts) -> bool:
    """An unknown rating or score is no reason to be silent."""
    return _reaches(facts.get("rating"), choice.min_rating) and _reaches(facts.get("score"), choice.min_score)


def _reaches(value: object, least: float) -> bool:
    return not isinstance(value, int | float) or value >= least
