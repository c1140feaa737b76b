"""Live prices, feed status, events and candidates of the running session."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

import msgspec

from vcpd.domain.bars import DateArray, FloatArray, IntArray
from vcpd.domain.setups import EventKind


@dataclass(frozen=True, slots=True, eq=False)
class LivePrices:
    """Prices of n instruments received together, each array (n,), in order of arrival.

    `volume` counts the shares of the session so far, `previous_close` is the close before it; NaN where
    unknown. `traded_at` (UTC, unit s) is the last trade's instant, unknown: before a share's
    first trade of a day the market repeats the day before. `open_high_low` (n, 3) are the session's open,
    high and low so far; None where the source does not state them.
    """

    tokens: IntArray
    last_price: FloatArray
    volume: FloatArray
    previous_close: FloatArray
    traded_at: DateArray
    open_high_low: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.tokens)


class FeedState(StrEnum):
    """How well the market is seen."""

    OFF = "off"  # no prices were requested
    CONNECTING = "connecting"
    LIVE = "live"
    LOGIN_DUE = "login_due"


class FeedStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A live feed in figures, since the daemon's start."""

    state: FeedState = FeedState.OFF
    connections: int = 0
    instruments: int = 0
    frames: int = 0
    ticks: int = 0
    garbage: int = 0  # frames that could not be read
    reconnects: int = 0
    mute: int = 0  # times a connected line said nothing for too long
    reason: str = ""  # why it is not live


class LiveEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event of a followed base as seen in a running session; the session's final bar decides about it.

    `volume_ratio` is the volume projected to the close over its average, None where unknown.
    """

    symbol: str
    anchor_date: date
    kind: EventKind
    session: date
    at: datetime
    price: float
    pivot: float
    stop: float
    footprint: str
    volume_ratio: float | None
    detail: str
    rating: int | None = None  # relative strength and score of the evening before; not kept
    score: float | None = None


class RunningBar(msgspec.Struct, frozen=True, kw_only=True):
    """The provisional bar of a running session; `close` is the last price, `volume` None where unknown."""

    session: date
    open: float
    high: float
    low: float
    close: float
    volume: float | None

    @classmethod
    def of(
        cls, session: date, open_high_low: tuple[float, float, float], price: float, volume: float
    ) -> "RunningBar | None":
        """The bar that these prices make; None where one of them is unknown: NaN, or 0 before a trade.

        The last price belongs to the session, so high and low include it even if it came first.
        """
        prices = (*open_high_low, price)
        if not all(value > 0 for value in prices):
            return None
        return cls(
            session=session,
            open=open_high_low[0],
            high=max(prices),
            low=min(prices),
            close=price,
            volume=volume if volume >= 0 else None,
        )


class WatchedCandidate(msgspec.Struct, frozen=True, kw_only=True):
    """The present state of one candidate."""

    symbol: str
    state: str
    pivot: float
    stop: float
    price: float | None
    to_pivot_pct: float | None  # how far the price must rise; negative above the pivot
    volume_ratio: float | None
    news: str | None  # the last event of the session
    at_limit: str | None = None  # in words, where the price stands at the upper circuit
    bar: RunningBar | None = None  # of the running session; None where unknown, or where a split is due


class WatchStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The live watch as a whole."""

    running: bool = False
    session: date | None = None
    source: str = "none"  # `ticker`, `quotes` or `none`
    candidates: int = 0
    levels: int = 0  # open price levels of watch lists
    left_out: int = 0  # followed bases that are not watched: too far, too many, restated
    events: int = 0
    last_tick_age_s: float | None = None
    skipped_because: str | None = None
    own_curves: int = 0  # candidates whose own volume curve is known
    feed: FeedStatus = FeedStatus()


@dataclass(frozen=True, slots=True, eq=False)
class MinuteVolumes:
    """Minute bars' volumes: `minutes` (n,) in the exchange's time (unit m), `volume` (n,), ascending."""

    minutes: DateArray
    volume: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class StoredVolumeCurve:
    """A learned volume curve: cumulative shares (m,) at the end of each minute, from how many sessions."""

    symbol: str
    learned_on: date
    sessions: int
    shares: FloatArray
