"""Scans: each symbol's answer after a session with the values of its clauses, and the whole result."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Annotated, Any, Final, Self

import msgspec

from vcpd.core.errors import BadInputError
from vcpd.domain.market_regime import MarketTerm, SectorLevel, SectorRank
from vcpd.domain.risk import RiskScore
from vcpd.domain.setups import Setup

ScanValue = float | str | bool | None


MAX_SCAN_CHARACTERS: Final = 1000
ScanName = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,40}$")]


class UnscreenedSessionError(BadInputError):
    """A scan asks for values of verdicts, risk scores or the regime after a session that has none."""


class SavedScan(msgspec.Struct, frozen=True):
    """A scan that a user saved on the page; changes of a followed one are alerted."""

    name: str
    expression: str
    followed: bool = False


class ScanClause(msgspec.Struct, frozen=True):
    """A part of a scan that must hold: its text, whether it holds (None: unknown), its values by text."""

    text: str
    holds: bool | None
    values: Mapping[str, ScanValue] = {}


class ScanRow(msgspec.Struct, frozen=True):
    """One symbol's answer after a session; `reason` says why it was not evaluated."""

    symbol: str
    matches: bool
    clauses: tuple[ScanClause, ...] = ()
    reason: str | None = None

    @property
    def first_failure(self) -> ScanClause | None:
        """The first clause, from the left, that does not hold or is not known; None where it matches."""
        return next((clause for clause in self.clauses if not clause.holds), None)


class ScanResult(msgspec.Struct, frozen=True, kw_only=True):
    """A scan after a session: the symbols that match, and for a symbol that was asked for its answer."""

    expression: str
    as_of: date
    evaluated: int
    count: int
    items: Sequence[ScanRow]
    failures: Mapping[str, int] = {}  # how many symbols fail first at each clause
    name: str | None = None
    explained: ScanRow | None = None


class SessionMarket(msgspec.Struct, frozen=True):
    """The market after a session: its term, and the ranks of its sectors by name; None is unknown."""

    regime: str | None = None
    sector_ranks: Mapping[str, int | None] = {}

    @classmethod
    def of(cls, term: MarketTerm, ranks: Iterable[SectorRank]) -> Self:
        return cls(term.value, {rank.sector: rank.rank for rank in ranks if rank.level is SectorLevel.SECTOR})


class SymbolVerdict(msgspec.Struct, frozen=True):
    """What is known of a symbol at a session beside its bars, as a scan may ask for it; None is unknown."""

    symbol: str
    state: str | None = None
    footprint: str | None = None
    sector: str | None = None
    score: float | None = None
    depth: float | None = None
    contractions: float | None = None
    pivot_distance: float | None = None
    risk: float | None = None
    risk_volatility: float | None = None
    risk_gap: float | None = None
    risk_atr: float | None = None
    risk_drawdown: float | None = None
    risk_volume: float | None = None
    risk_trend: float | None = None
    sector_rank: float | None = None
    regime: str | None = None

    @classmethod
    def of(
        cls,
        symbol: str,
        setup: Setup | None,
        risk: RiskScore | None,
        sector: str | None,
        market: SessionMarket,
    ) -> Self:
        """Creates the facts from a verdict, a risk score, the company's sector and the market.

        The detector's values are those of a base: a symbol without one has none, whether its verdict is
        still stored or not, so that a past session is answered as it was on its evening.
        """
        rank = None if sector is None else market.sector_ranks.get(sector)
        return cls(
            symbol,
            sector=sector,
            sector_rank=None if rank is None else float(rank),
            regime=market.regime,
            **({} if risk is None else _risk_values(risk)),
            **({} if setup is None or not setup.has_base else _base_values(setup)),
        )


def _risk_values(risk: RiskScore) -> dict[str, Any]:
    """The score and its components, likewise."""
    return {"risk": risk.score, **{f"risk_{name}": value for name, value in risk.components.items()}}


def _base_values(setup: Setup) -> dict[str, Any]:
    """The detector's values of a base, by the names that the scan language has for them."""
    return {
        "state": None if setup.state is None else setup.state.value,
        "footprint": setup.footprint,
        "score": setup.score,
        "depth": setup.contractions[0].depth_pct if setup.contractions else None,
        "contractions": float(len(setup.contractions)),
        "pivot_distance": setup.to_pivot_pct,
    }


def explain_row(row: ScanRow) -> Iterator[str]:
    """Plain lines: the answer, then each clause with its values, marked where it fails first."""
    if row.reason is not None:
        yield f"{row.symbol}: not evaluated: {row.reason}"
        return
    yield f"{row.symbol}: {'matches' if row.matches else 'does not match'}"
    for clause in row.clauses:
        mark = {True: "holds", False: "fails", None: "unknown"}[clause.holds]
        first = ", fails first" if clause is row.first_failure else ""
        values = ", ".join(
            f"{text} = {value_text(value, with_decimals=has_decimals(value))}"
            for text, value in clause.values.items()
        )
        yield f"  {mark:7}  {clause.text}{f'  [{values}]' if values else ''}{first}"


def has_decimals(value: ScanValue) -> bool:
    """Whether it is a number that is not whole."""
    return isinstance(value, float) and not value.is_integer()


def value_text(value: ScanValue, *, with_decimals: bool) -> str:
    """A value as it is shown: numbers with two decimals or none, unknown ones as such."""
    if value is None:
        return "unknown"
    if isinstance(value, float):
        return f"{value:,.2f}" if with_decimals else f"{value:,.0f}"
    return str(value)
