"""Purchases belong to what was known on the evening before them, and every one to exactly one part."""

from datetime import date, timedelta

import numpy as np

from tests.fakes.regimes import rank_of
from vcpd.analysis.outcomes import (
    CountedPurchase,
    OutcomeCounts,
    SectorThird,
    estimate_counts,
    sector_thirds,
    split_by_sector,
    split_by_term,
)
from vcpd.domain.market_regime import MarketTerm, Quadrant

FIRST = date(2024, 1, 1)
SESSIONS = np.datetime64(FIRST) + np.arange(600)


def _counts(days: list[int], results: list[float]) -> OutcomeCounts:
    numbers = (SESSIONS[days]).astype("<i4").tobytes()
    return OutcomeCounts(
        entries=len(days), counted=len(days), sessions=numbers, results=np.array(results, "<f4").tobytes()
    )


def test_a_purchase_belongs_to_the_regime_of_the_session_before() -> None:
    terms = {FIRST: MarketTerm.CORRECTION, FIRST + timedelta(1): MarketTerm.CONFIRMED_UPTREND}
    found = split_by_term(_counts([0, 1, 2, 2, 3], [9.0, 1.0, 2.0, 4.0, 5.0]), SESSIONS, terms)
    assert {name: (part.purchases, part.mean_r) for name, part in found.items()} == {
        "confirmed_uptrend": (2, 3.0),
        "correction": (1, 1.0),
        "unknown": (2, 7.0),
    }


def test_the_parts_are_the_whole_and_have_intervals_where_months_suffice() -> None:
    random = np.random.default_rng(4)
    days = sorted(random.integers(1, 600, 900).tolist())
    counts = _counts(days, random.normal(0.2, 1, 900).tolist())
    terms = {
        day: MarketTerm.CORRECTION if at % 40 < 20 else MarketTerm.UNDER_PRESSURE
        for at, day in enumerate(SESSIONS.tolist())
    }
    parts = split_by_term(counts, SESSIONS, terms).values()
    whole = estimate_counts(counts)
    assert sum(part.purchases for part in parts) == whole.purchases == 900
    assert all(part.low_r is not None and part.high_r is not None for part in parts)
    assert all((part.low_r or 0) < (part.mean_r or 0) < (part.high_r or 0) for part in parts)


def test_purchases_are_split_by_the_third_of_their_sector() -> None:
    ranks = [rank_of(name, place, Quadrant.LEADING) for place, name in enumerate("ABCD", start=1)]
    by_session = [[*ranks, rank_of("Few", None, None)], list(reversed(ranks))]
    sectors = {"NSE:A": "A", "NSE:D": "D", "NSE:F": "Few"}
    purchases = [
        CountedPurchase("NSE:A", FIRST, 7.0),  # nothing is known before it
        CountedPurchase("NSE:A", FIRST + timedelta(1), 1.0),
        CountedPurchase("NSE:D", FIRST + timedelta(1), -1.0),
        CountedPurchase("NSE:D", FIRST + timedelta(2), 3.0),
        CountedPurchase("NSE:F", FIRST + timedelta(1), 5.0),
        CountedPurchase("NSE:X", FIRST + timedelta(1), 6.0),
    ]
    found = split_by_sector(purchases, SESSIONS[:2], by_session, sectors)
    assert {name: (part.purchases, part.mean_r) for name, part in found.items()} == {
        "strongest third": (2, 2.0),
        "weakest third": (1, -1.0),
        "no rank": (3, 6.0),
    }
    assert split_by_sector([], SESSIONS[:2], by_session, sectors) == {}


def test_thirds_of_any_number_of_sectors() -> None:
    for count in range(12):
        ranks = [rank_of(f"S{n:02}", n + 1, Quadrant.LEADING) for n in range(count)]
        thirds = list(sector_thirds(ranks).values())
        assert thirds.count(SectorThird.STRONGEST) == thirds.count(SectorThird.WEAKEST) == count // 3
        assert len(thirds) == count
