"""Rules of a simulated trade: entry, stop, exit and portfolio; each is a value that a study varies.

A rule names itself in one short text, which is what reports and error messages show.
"""

from enum import StrEnum
from typing import Annotated, Final

import msgspec

PERCENT: Final = 100.0
WAITING_SESSIONS: Final = 10  # beyond the holding limit, in which a sale that nothing filled may be filled


class EntryKind(StrEnum):
    """When a base that breaks out is bought."""

    CLOSE = "close"  # the close of the first session that ends above the pivot
    NEXT_OPEN = "next_open"  # the open of the session after it
    STOP_ORDER = "stop_order"  # a buy stop one tick above the pivot, which waits while the base is a setup

    @property
    def first_bar(self) -> int:
        """The first bar that can end the trade, counted from the bar of the purchase."""
        return 1 if self is EntryKind.CLOSE else 0


class StopKind(StrEnum):
    """Where the initial stop stands."""

    OWN = "own"  # under the final low, at most `[screen] max_stop_pct` below the entry
    STRUCTURAL = "structural"  # under the final low, however far that is
    PERCENT = "percent"  # so many percent below the entry
    ATR = "atr"  # so many ATR 20 below the entry


class StopRule(msgspec.Struct, frozen=True, order=True):
    """The initial stop; `value` is percent or multiples of ATR 20, 0 for the base's own stops."""

    kind: StopKind = StopKind.OWN
    value: float = 0.0

    @property
    def text(self) -> str:
        return self.kind.value if not self.value else f"{self.kind.value} {self.value:g}"


class ExitKind(StrEnum):
    """What ends a trade besides the stop and the holding limit."""

    HOLD = "hold"  # nothing
    TARGET = "target"  # a limit order at so many R
    TIME = "time"  # the close after so many sessions, unless the trade has gained the asked R by then
    AVERAGE = "average"  # the open after a close below the average of so many closes
    CHANDELIER = "chandelier"  # a stop so many ATR 20 under the highest high since the entry
    HALF = "half"  # half is sold at so many R, the rest then has its stop at the entry


class ExitRule(msgspec.Struct, frozen=True, order=True):
    """An exit; `value` is R, sessions or multiples of ATR 20, `least_r` the gain that a time stop asks."""

    kind: ExitKind = ExitKind.HOLD
    value: float = 0.0
    least_r: float = 0.0

    @property
    def text(self) -> str:
        if self.kind is ExitKind.TIME:
            return f"time {self.value:g} below {self.least_r:g} R"
        return self.kind.value if not self.value else f"{self.kind.value} {self.value:g}"


class PortfolioRules(msgspec.Struct, frozen=True, order=True, kw_only=True):
    """How much of the account a trade risks and how much is held at once."""

    risk_pct: float = 0.5
    positions: int = 12
    heat_pct: float = 6.0

    @property
    def text(self) -> str:
        return f"{self.risk_pct:g} % risk, {self.positions} positions, heat {self.heat_pct:g} %"


class TradeRules(msgspec.Struct, frozen=True, order=True):
    """What decides a trade apart from the screen: two cells with the same rules have the same trades."""

    entry: EntryKind = EntryKind.CLOSE
    stop: StopRule = StopRule()
    exit: ExitRule = ExitRule()
    holding_sessions: int = 60

    @property
    def reach_sessions(self) -> int:
        """How many sessions of the exchange after its purchase a trade may still end."""
        return self.holding_sessions + WAITING_SESSIONS

    @property
    def text(self) -> str:
        exits = f"exit {self.exit.text}, {self.holding_sessions} sessions"
        return f"{self.entry.value}, stop {self.stop.text}, {exits}"


class FillRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which bars do not fill an order; all prices are those of daily bars."""

    locked_pct: Annotated[
        float,
        msgspec.Meta(
            ge=0,
            lt=100,
            description="a one-price session this far from the close before, percent, fills nothing; 0: off",
        ),
    ] = 1.9
    limits_pct: Annotated[
        tuple[Annotated[float, msgspec.Meta(gt=0, lt=100)], ...],
        msgspec.Meta(
            description="price limits of a day, percent of the close before: a close at one of them that is "
            "also the session's extreme fills nothing at that close; none: off"
        ),
    ] = (2.0, 5.0, 10.0, 20.0)
    needs_volume: Annotated[bool, msgspec.Meta(description="a bar without volume fills nothing")] = True
