"""A simulated month through the daily files and through Kite gives the same setups, or says why not."""

from datetime import date
from pathlib import Path

import pytest

from benchmarks.both_markets import UNEXPLAINED, Comparison, Difference, compare

SESSIONS_OF_A_MONTH = 21


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_a_month_gives_the_same_setups_through_both_markets(tmp_path: Path) -> None:
    """Every verdict that differs has a reason, and those with one are few."""
    compared = await compare(60, SESSIONS_OF_A_MONTH, tmp_path)
    assert compared.bases > SESSIONS_OF_A_MONTH
    assert [each for each in compared.differences if UNEXPLAINED in each.reason] == []
    assert len(compared.differences) <= compared.verdicts / 100


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_the_last_evening_gives_the_same_setups_through_both_markets(tmp_path: Path) -> None:
    compared = await compare(24, 1, tmp_path)
    assert compared.bases > 5
    assert [each for each in compared.differences if UNEXPLAINED in each.reason] == []


def test_a_table_names_each_difference_with_its_reason() -> None:
    missing = Difference(date(2025, 6, 30), "NSE:AAA", "no base", "not listed", "because")
    compared = Comparison(10, 4, [missing])
    lines = list(compared.table())
    assert lines[0] == "10 verdicts, 4 with a base, 1 differ"
    assert lines[1].split() == ["1", "because"]
    assert lines[2].endswith("kite no base; files not listed: because")
