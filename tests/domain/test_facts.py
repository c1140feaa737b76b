"""What is published of a company, in lines beside its setup."""

from datetime import date

from vcpd.domain.facts import BandHit, SetupFacts

SESSION = date(2026, 11, 20)


def test_facts_become_plain_lines_and_unknown_ones_none() -> None:
    facts = SetupFacts(
        session=SESSION,
        delivery_pct=48.4,
        delivery_average_pct=41.2,
        market_cap=123_450_000_000.0,
        band_hit=BandHit.UPPER,
        results_on=date(2026, 11, 25),
        results_in_sessions=2,
        marks=("ASM stage 2",),
    )
    assert facts.lines() == [
        "delivery 48 % of the shares traded, 41 % on average before, as of 2026-11-20",
        "market value Rs 12,345 crore, as of 2026-11-20",
        "reached its upper price band, as of 2026-11-20",
        "results in 2 sessions, on 2026-11-25, as of 2026-11-20",
        "ASM stage 2, as of 2026-11-20",
    ]
    assert SetupFacts(session=SESSION).lines() == []


def test_a_narrow_price_band_is_said_once_as_a_mark() -> None:
    narrow = SetupFacts(session=SESSION, price_band_pct=5.0, marks=("price band 5 %",))
    assert narrow.lines() == ["price band 5 %, as of 2026-11-20"]
    assert SetupFacts(session=SESSION, price_band_pct=10.0).lines() == ["price band 10 %, as of 2026-11-20"]


def test_results_without_a_count_of_sessions_name_their_day() -> None:
    facts = SetupFacts(session=SESSION, results_on=date(2026, 11, 25))
    assert facts.results_text == "results on 2026-11-25"
    assert SetupFacts(session=SESSION, delivery_pct=50.0).lines() == [
        "delivery 50 % of the shares traded, as of 2026-11-20"
    ]
