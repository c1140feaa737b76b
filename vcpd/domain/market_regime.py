"""The market's regime after a session, and the ranks of its sectors: values that are stored and shown."""

from datetime import date
from enum import StrEnum
from typing import Self

import msgspec


class MarketTerm(StrEnum):
    """What the market does, by O'Neil's rules.

    Unknown where its volume is, and before the first correction of its history.
    """

    CONFIRMED_UPTREND = "confirmed_uptrend"
    UNDER_PRESSURE = "under_pressure"
    CORRECTION = "correction"
    UNKNOWN = "unknown"

    @property
    def text(self) -> str:
        """The regime in words for a sentence: `confirmed uptrend`."""
        return self.value.replace("_", " ")

    def since_text(self, since: date | None) -> str:
        """Such as `correction since 2025-05-30`."""
        return self.text + (f" since {since}" if since else "")


class VolumeSource(StrEnum):
    """Where the market's volume comes from, the best first."""

    INDEX = "index turnover"
    MEMBERS = "traded value of the members"
    UNIVERSE = "traded value of the universe"


class IndexDirection(msgspec.Struct, frozen=True, kw_only=True):
    """An index after one session: its term and the numbers behind it; None is unknown."""

    session: date
    close: float
    term: MarketTerm
    since: date | None = None
    distribution_days: int | None = None
    unmeasured_sessions: int = 0  # of the window: their volume cannot be compared with that of the day before
    volume_sources: tuple[VolumeSource, ...] = ()
    rally_day: int | None = None
    follow_through: date | None = None


class MarketBreadth(msgspec.Struct, frozen=True, kw_only=True):
    """The universe after one session: shares in percent, counts of symbols, traded values in rupees."""

    symbols: int
    above_sma50_pct: float | None
    above_sma150_pct: float | None
    above_sma200_pct: float | None
    new_highs: int
    new_lows: int
    advances: int
    declines: int
    up_value: float
    down_value: float
    mcclellan: float | None


class MarketRegime(msgspec.Struct, frozen=True, kw_only=True):
    """The regime after one session: the benchmark's term, each index's direction, breadth, setups' fates."""

    session: date
    term: MarketTerm
    since: date | None
    benchmark: str
    indices: dict[str, IndexDirection]
    breadth: MarketBreadth | None
    setups_worked: int | None = None
    setups_failed: int | None = None

    @classmethod
    def of(
        cls, session: date, benchmark: str, indices: dict[str, IndexDirection], breadth: MarketBreadth | None
    ) -> Self:
        """The market's term is the benchmark's; unknown where it has no bar at the session."""
        own = indices.get(benchmark)
        return cls(
            session=session,
            term=MarketTerm.UNKNOWN if own is None else own.term,
            since=None if own is None else own.since,
            benchmark=benchmark,
            indices=indices,
            breadth=breadth,
        )

    def note(self, session: date) -> str:
        """Returns the words shown beside setups of `session`, such as `correction since 2025-05-30`."""
        return _beside_session(self.term.since_text(self.since), self.session, session)


def _beside_session(text: str, as_of: date, session: date) -> str:
    return text if as_of == session else f"{text}, as of {as_of}"


class EncodedRegime(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A regime and the ranks of its sectors written out as JSON, as they are stored."""

    session: date
    term: MarketTerm
    text: str
    sectors: str


class Quadrant(StrEnum):
    """Where a sector stands: relative strength above or below its mean, rising or falling."""

    LEADING = "leading"
    WEAKENING = "weakening"
    LAGGING = "lagging"
    IMPROVING = "improving"


class SectorLevel(StrEnum):
    """How finely companies are grouped by their business: an industry is a part of a sector."""

    SECTOR = "sector"
    INDUSTRY = "industry"


class SectorRank(msgspec.Struct, frozen=True, kw_only=True):
    """A sector or an industry after one session; `rank` 1 is the strongest, None with too few symbols.

    `sector` is its own name; `parent` names the sector of an industry, where the lists give it.
    """

    session: date
    sector: str
    level: SectorLevel = SectorLevel.SECTOR
    parent: str | None = None
    rank: int | None
    n_symbols: int
    rs_rating: float | None  # median rating of its symbols, 1 to 99
    above_sma50_pct: float | None
    relative_strength: float | None  # 100 is its own mean of the last 126 sessions
    momentum: float | None  # 100 is no change against the mean of the last 21 sessions
    quadrant: Quadrant | None
    leaders: tuple[str, ...] = ()


class MarketContext(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The market's regime, and the ranks of a company's sector and industry.

    It stands beside a setup and decides nothing. After `session`, at most a week before the setup's; ranks
    are None where too few symbols have a rating, or no list names the company.
    """

    session: date
    term: MarketTerm
    since: date | None = None
    sector_rank: int | None = None
    sectors_ranked: int = 0
    sector_quadrant: Quadrant | None = None
    industry: str | None = None
    industry_rank: int | None = None
    industries_ranked: int = 0

    @property
    def market_text(self) -> str:
        """Such as `correction since 2025-05-30`."""
        return self.term.since_text(self.since)

    def note(self, session: date) -> str:
        """The same beside setups of `session`; a regime of an earlier session is named as such."""
        return _beside_session(self.market_text, self.session, session)

    def sector_text(self, sector: str | None) -> str | None:
        """Such as `Banks, rank 3 of 12, leading; Private Banks, rank 5 of 40`; None where none is known."""
        own = _rank_text(sector, self.sector_rank, self.sectors_ranked, self.sector_quadrant)
        finer = _rank_text(self.industry, self.industry_rank, self.industries_ranked)
        return "; ".join(filter(None, (own, finer))) or None


def _rank_text(name: str | None, rank: int | None, ranked: int, quadrant: Quadrant | None = None) -> str:
    if name is None:
        return ""
    place = "without a rank" if rank is None else f"rank {rank} of {ranked}"
    return ", ".join(filter(None, (name, place, quadrant)))
