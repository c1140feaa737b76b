"""What is known of held companies and of the day on which they were bought, and rules that began to fire."""

from collections.abc import Sequence
from datetime import date
from typing import Final

import msgspec

from vcpd.domain.portfolio import CurvePoint, PositionTexts

UNKNOWN_TERM: Final = "unknown"
SCORE_STEP: Final = 10.0
SCORE_DECILES: Final = tuple(f"{low} to {low + 10}" for low in range(0, 100, 10))


class CompanyNote(msgspec.Struct, frozen=True, kw_only=True):
    """A held company as the store knows it; `state` is that of its base after the newest screened session.

    `results_on` is the day of the next results that the newest facts name, which may lie behind;
    `results_in_sessions` counts from the evaluated session, None where no day ahead is known.
    """

    symbol: str
    instrument_id: int
    sector: str | None = None
    is_listed: bool = True
    state: str | None = None
    footprint: str | None = None
    results_on: date | None = None
    results_in_sessions: int | None = None


class PurchaseNote(msgspec.Struct, frozen=True, kw_only=True):
    """What was known when shares of a symbol were bought on `session`.

    `pivot` and `footprint` are those of the base that was followed then, `score` its verdict's, `term` that
    of the market; None where nothing was stored.
    """

    symbol: str
    session: date
    pivot: float | None = None
    footprint: str | None = None
    score: float | None = None
    term: str | None = None

    @property
    def setup_type(self) -> str:
        """The number of contractions of its base, such as `3T`."""
        return "no base" if self.footprint is None else self.footprint.split()[-1]

    @property
    def score_decile(self) -> str:
        """The ten points of score that it fell in, such as `70 to 80`."""
        if self.score is None:
            return "no score"
        return SCORE_DECILES[min(9, int(self.score // SCORE_STEP))]

    @property
    def regime(self) -> str:
        """The market's term."""
        return UNKNOWN_TERM if self.term is None else self.term


class RuleFiring(msgspec.Struct, frozen=True, kw_only=True):
    """A sell rule that began to fire after `session`, on the lots of a symbol bought on `opened`."""

    symbol: str
    opened: date | None
    session: date
    rule: str
    text: str
    quantity: int
    close: float
    entry: float
    share: float = 1.0
    level: float | None = None
    result_r: float | None = None
    provisional: bool = False


class JudgedAccount(msgspec.Struct, frozen=True, kw_only=True):
    """An account after a session, as it leaves a worker: texts for the store, and rules that began to fire.

    `last_session` is that of the newest bars up to it.
    """

    point: CurvePoint
    texts: PositionTexts
    last_session: date
    firings: Sequence[RuleFiring] = ()
    firing: int = 0  # rules that fire now, new ones or not
    broken_caps: int = 0


class NotTaken(msgspec.Struct, frozen=True):
    """A rejected row: its place in the file, and the reason."""

    place: str
    reason: str


class AccountChange(msgspec.Struct, frozen=True, kw_only=True):
    """What a change did to the stored trades.

    `known` trades were there before; `refused` rows could not be taken; `left_out` ones are no shares for
    delivery. `judged` is the session after which the account was judged anew, None where no bars are there.
    """

    added: int = 0
    known: int = 0
    removed: int = 0
    changed: int = 0
    refused: tuple[NotTaken, ...] = ()
    left_out: tuple[NotTaken, ...] = ()
    judged: date | None = None
