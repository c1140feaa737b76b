"""Scans: each symbol's answer after a session with the values of its clauses, and the whole result."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Self

import msgspec

from vcpd.core.errors import BadInputError
from vcpd.domain.setups import Setup

ScanValue = float | str | bool | None


class UnscreenedSessionError(BadInputError):
    """A scan asks for values of verdicts after a session that has none."""


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


class SymbolVerdict(msgspec.Struct, frozen=True):
    """What a session's verdict says of one symbol, as a scan may ask for it; None is unknown."""

    symbol: str
    state: str | None = None
    footprint: str | None = None
    sector: str | None = None
    score: float | None = None
    depth: float | None = None
    contractions: float | None = None
    pivot_distance: float | None = None
    risk: float | None = None

    @classmethod
    def of(cls, setup: Setup, risk: float | None) -> Self:
        """From a verdict and a risk score; a symbol that could not be judged has no values."""
        return cls(
            setup.symbol,
            state=None if setup.state is None else setup.state.value,
            footprint=setup.footprint,
            sector=setup.sector,
            score=setup.score if setup.reason is None else None,
            depth=setup.contractions[0].depth_pct if setup.contractions else None,
            contractions=float(len(setup.contractions)),
            pivot_distance=setup.to_pivot_pct,
            risk=risk,
        )


def explain_row(row: ScanRow) -> Iterator[str]:
    """Plain lines: the answer, then each clause with its values, marked where it fails first."""
    if row.reason is not None:
        yield f"{row.symbol}: not evaluated: {row.reason}"
        return
    yield f"{row.symbol}: {'matches' if row.matches else 'does not match'}"
    for clause in row.clauses:
        mark = {True: "holds", False: "fails", None: "unknown"}[clause.holds]
        first = ", fails first" if clause is row.first_failure else ""
        values = ", ".join(f"{text} = {value_text(value)}" for text, value in clause.values.items())
        yield f"  {mark:7}  {clause.text}{f'  [{values}]' if values else ''}{first}"


def value_text(value: ScanValue) -> str:
    """A value as it is shown: numbers with two decimals, unknown ones as such."""
    if value is None:
        return "unknown"
    return f"{value:,.2f}" if isinstance(value, float) else str(value)
