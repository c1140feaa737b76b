"""Outcomes of simulated purchases, split by what the market and the sector did on the evening before.

A purchase is made at a session's close; the regime and the ranks after that session are known only then, so
each purchase belongs to those of the session before it. Each part has its own number and interval.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from enum import StrEnum
from typing import Final, NamedTuple

import numpy as np

from vcpd.analysis.outcomes import Estimate, OutcomeCounts, estimate
from vcpd.domain.bars import DateArray, FloatArray
from vcpd.domain.market_regime import MarketTerm, SectorRank


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
