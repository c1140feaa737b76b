"""Outcomes of simulated purchases: trades, their counts, how sure their means are, and splits by the market.

R is what a purchase risks: the entry less the stop. A purchase counts once the bars reach to the end of its
horizon, whether it was stopped before or not; else the last weeks would count only what was stopped. A share
whose own bars end before is sold at its last close. The market's months differ more than its shares: an
interval comes from drawing whole months.

A purchase is made at a session's close; the market's term and the sectors' ranks after that session are known
only then, so each purchase belongs to those of the session before it.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import date
from enum import StrEnum
from typing import Any, Final, NamedTuple, Self

import msgspec
import numpy as np

from vcpd.analysis.indicators import Bars
from vcpd.analysis.month_intervals import interval_by_month
from vcpd.analysis.simulated_trades import EntryRules, simulate_entries
from vcpd.domain.bars import BoolArray, DateArray, FloatArray
from vcpd.domain.market_regime import MarketTerm, SectorRank

INTERVAL_PCT: Final = 95.0


class OutcomeCounts(msgspec.Struct, frozen=True):
    """Counts and sums over purchases, and each counted one's session and result.

    `sessions` holds days since 1970 (int32) and `results` R after costs (float32), packed. Two counts of
    different symbols can be joined. `symbol_sums` holds three float64 a symbol, packed: its results, best and
    worst R before costs. They are added up once all symbols are there, so that no total depends on how the
    symbols were divided among workers.
    """

    entries: int = 0
    counted: int = 0  # those whose whole horizon the bars cover; the rest is about them
    reached_1r: int = 0
    reached_2r: int = 0
    reached_3r: int = 0
    stopped: int = 0
    sum_sessions: int = 0
    symbol_sums: bytes = b""
    sessions: bytes = b""
    results: bytes = b""

    @classmethod
    def merged(cls, parts: Sequence[Self]) -> Self:
        """All parts as one."""
        joined: dict[str, Any] = {}
        for name in cls.__struct_fields__:
            column = [getattr(part, name) for part in parts]
            joined[name] = b"".join(column) if isinstance(getattr(cls(), name), bytes) else sum(column)
        return cls(**joined)

    @property
    def sums_r(self) -> dict[str, float]:
        """Totals of results, best and worst R before costs, correctly rounded, in any order of symbols."""
        columns = np.frombuffer(self.symbol_sums, "<f8").reshape(-1, len(_SUMS_R)).T
        return {name: math.fsum(column) for name, column in zip(_SUMS_R, columns.tolist(), strict=True)}

    @property
    def shares(self) -> dict[str, float | None]:
        """Shares and means of the counted ones before costs, None where there are none."""
        sums = (
            *(self.reached_1r, self.reached_2r, self.reached_3r, self.stopped),
            *(*self.sums_r.values(), self.sum_sessions),
        )
        means = [total / self.counted if self.counted else None for total in sums]
        return dict(zip(_SHARES, means, strict=True))

    @property
    def days(self) -> DateArray:
        """(counted,): the session of each counted purchase."""
        return np.frombuffer(self.sessions, "<i4").astype("M8[D]")

    @property
    def results_r(self) -> FloatArray:
        """(counted,): its result in R after costs."""
        return np.frombuffer(self.results, "<f4").astype(np.float64)


_COUNTS: Final = ("entries", "counted", "reached_1r", "reached_2r", "reached_3r", "stopped")
_SUMS_R: Final = ("sum_result_r", "sum_best_r", "sum_worst_r")
_SHARES: Final = (
    "reached_1r", "reached_2r", "reached_3r", "stopped", "result_r", "best_r", "worst_r", "held_sessions",
)  # fmt: skip


def count_outcomes(
    bars: Bars, days: DateArray, entered: BoolArray, stops: FloatArray, rules: EntryRules
) -> OutcomeCounts:
    """Buy at the close of every bar marked in `entered` (n,) with the stop of `stops` (n,).

    `days` (n,) are the bars' sessions.
    """
    sums, at, results = simulate_entries(bars, entered, stops, rules)
    counts = {name: int(value) for name, value in zip(_COUNTS, sums.tolist(), strict=False)}
    return OutcomeCounts(
        **counts,
        sum_sessions=int(sums[-1]),
        symbol_sums=sums[len(_COUNTS) : -1].astype("<f8").tobytes(),
        sessions=days[at].astype("M8[D]").astype("<i4").tobytes(),
        results=results.astype("<f4").tobytes(),
    )


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """A mean in R after costs with its 95 % interval; None where there are no purchases or too few months."""

    purchases: int
    months: int
    mean_r: float | None
    median_r: float | None
    low_r: float | None
    high_r: float | None


def estimate(days: DateArray, results_r: FloatArray) -> Estimate:
    """Mean, median and interval of `results_r` (n,) of purchases on `days` (n,)."""
    interval = interval_by_month(days, results_r, INTERVAL_PCT)
    is_empty = not len(results_r)
    return Estimate(
        purchases=len(results_r),
        months=interval.months,
        mean_r=None if is_empty else float(results_r.mean()),
        median_r=None if is_empty else float(np.median(results_r)),
        low_r=interval.low,
        high_r=interval.high,
    )


def estimate_counts(counts: OutcomeCounts) -> Estimate:
    """The estimate over the counted purchases."""
    return estimate(counts.days, counts.results_r)


def estimate_difference(setups: OutcomeCounts, others: OutcomeCounts) -> Estimate:
    """Estimates by how much each purchase exceeds the mean of the session's others, where there are any.

    So a good month of the market counts for both sides.
    """
    days, results = setups.days, setups.results_r
    sessions, groups = np.unique(others.days, return_inverse=True)
    sums, counts = np.bincount(groups, others.results_r), np.bincount(groups)
    means = sums / counts
    at = np.searchsorted(sessions, days)
    known = np.flatnonzero(at < len(sessions))
    known = known[sessions[at[known]] == days[known]]
    return estimate(days[known], results[known] - means[at[known]])


class SectorThird(StrEnum):
    """The third in which a sector was ranked."""

    STRONGEST = "strongest third"
    MIDDLE = "middle third"
    WEAKEST = "weakest third"
    UNRANKED = "no rank"


TERMS: Final = tuple(term.value for term in MarketTerm)
THIRDS: Final = tuple(third.value for third in SectorThird)


class CountedPurchase(NamedTuple):
    """A purchase whose whole horizon the bars cover, with its result after costs."""

    symbol: str
    session: date
    result_r: float


def split_by_term(
    counts: OutcomeCounts, sessions: DateArray, terms: Mapping[date, MarketTerm]
) -> dict[str, Estimate]:
    """The estimate of the counted purchases of each term; `sessions` (m,) are the market's, ascending.

    Terms without a purchase are left out.
    """
    after = [terms.get(day, MarketTerm.UNKNOWN).value for day in sessions.tolist()]
    before = (np.searchsorted(sessions, counts.days) - 1).tolist()
    labels = [MarketTerm.UNKNOWN.value if at < 0 else after[at] for at in before]
    return _estimates(counts.days, counts.results_r, labels, TERMS)


def split_by_sector(
    purchases: Sequence[CountedPurchase],
    sessions: DateArray,
    ranks: Sequence[Sequence[SectorRank]],
    sectors: Mapping[str, str],
) -> dict[str, Estimate]:
    """The estimate of the purchases by the third that their sector stood in.

    `ranks` are those after each of `sessions`, `sectors` gives the sector by symbol.
    """
    thirds = [sector_thirds(of_session) for of_session in ranks]
    days = np.array([purchase.session for purchase in purchases], "M8[D]")
    before = (np.searchsorted(sessions, days) - 1).tolist()
    labels = [
        SectorThird.UNRANKED.value
        if at < 0
        else thirds[at].get(sectors.get(purchase.symbol, ""), SectorThird.UNRANKED).value
        for at, purchase in zip(before, purchases, strict=True)
    ]
    results = np.array([purchase.result_r for purchase in purchases], np.float64)
    return _estimates(days, results, labels, THIRDS)


def sector_thirds(ranks: Sequence[SectorRank]) -> dict[str, SectorThird]:
    """The third of each ranked sector of one session; a remainder belongs to the middle."""
    ranked = [entry.sector for entry in ranks if entry.rank is not None]
    size = len(ranked) // 3
    weakest = len(ranked) - size
    return {
        sector: SectorThird.STRONGEST
        if at < size
        else SectorThird.WEAKEST
        if at >= weakest
        else SectorThird.MIDDLE
        for at, sector in enumerate(ranked)
    }


def _estimates(
    days: DateArray, results: FloatArray, labels: Sequence[str], names: Sequence[str]
) -> dict[str, Estimate]:
    """Estimates the results of each label, in the order of `names`."""
    own = np.array(labels, "U32")
    return {name: estimate(days[own == name], results[own == name]) for name in names if (own == name).any()}
