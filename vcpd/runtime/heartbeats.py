"""Which loops must tick, and which of them do not."""

import time
from collections.abc import Callable


class Heartbeat:
    """One loop's pulse. Call it in each turn; it is late when a turn takes longer than it should."""

    __slots__ = ("_beat_at_s", "_monotonic_s", "late_after_s", "name")

    def __init__(self, name: str, late_after_s: float, monotonic_s: Callable[[], float]) -> None:
        self.name = name
        self.late_after_s = late_after_s
        self._monotonic_s = monotonic_s
        self._beat_at_s = monotonic_s()

    def __call__(self) -> None:
        self._beat_at_s = self._monotonic_s()

    @property
    def age_s(self) -> float:
        return self._monotonic_s() - self._beat_at_s

    @property
    def is_late(self) -> bool:
        return self.age_s > self.late_after_s


class Heartbeats:
    """All loops that must tick; in real time, whatever the market's clock says."""

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._hearts: dict[str, Heartbeat] = {}

    def register(self, name: str, late_after_s: float) -> Heartbeat:
        """The pulse that loop `name` beats; registering it again starts it anew."""
        heart = Heartbeat(name, late_after_s, self._monotonic_s)
        self._hearts[name] = heart
        return heart

    def forget(self, name: str) -> None:
        """The loop ended on purpose."""
        self._hearts.pop(name, None)

    def late(self) -> list[Heartbeat]:
        return [heart for heart in self._hearts.values() if heart.is_late]

    def ages_s(self) -> dict[str, float]:
        return {name: heart.age_s for name, heart in self._hearts.items()}
