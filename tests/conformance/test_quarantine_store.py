"""QuarantineStore: bad rows are kept once, flags are replaced for the judged symbols only."""

from datetime import date

from vcpd.domain.quality_rules import QualityFlag, QualityRule, QuarantinedBar
from vcpd.ports import QuarantineStore

DAY = date(2024, 3, 4)


def bad_bar(
    symbol: str = "NSE:AAA", session: date | None = DAY, close: float | None = -1.0
) -> QuarantinedBar:
    return QuarantinedBar(
        symbol, session, QualityRule.PRICE_NOT_POSITIVE, "close -1", {"close": close, "file": "x"}
    )


async def test_a_row_is_kept_once_with_its_payload(quarantine: QuarantineStore) -> None:
    """Rows without a session count as the same too."""
    rows = [bad_bar(), bad_bar(), bad_bar(session=None), bad_bar(close=None)]
    assert await quarantine.add(rows) == 3
    assert await quarantine.add(rows) == 0
    assert await quarantine.add([]) == 0
    assert list(await quarantine.recent(10)) == [rows[3], rows[2], rows[0]]
    assert await quarantine.counts() == {QualityRule.PRICE_NOT_POSITIVE: 3}


async def test_recent_gives_the_newest_first_and_no_more_than_asked(quarantine: QuarantineStore) -> None:
    await quarantine.add([bad_bar("NSE:AAA"), bad_bar("NSE:BBB"), bad_bar("NSE:CCC")])
    assert [row.symbol for row in await quarantine.recent(2)] == ["NSE:CCC", "NSE:BBB"]


async def test_rows_of_one_symbol_or_one_rule_can_be_asked_for(quarantine: QuarantineStore) -> None:
    sunday = QuarantinedBar("NSE:AAA", DAY, QualityRule.NOT_A_SESSION, "a Sunday", {})
    await quarantine.add([bad_bar("NSE:AAA"), sunday, bad_bar("NSE:BBB")])
    assert await quarantine.recent(9, "NSE:AAA") == [sunday, bad_bar("NSE:AAA")]
    assert await quarantine.recent(9, rule=QualityRule.NOT_A_SESSION) == [sunday]
    assert await quarantine.recent(9, "NSE:BBB", QualityRule.NOT_A_SESSION) == []


async def test_flags_are_replaced_for_the_judged_symbols_only(quarantine: QuarantineStore) -> None:
    old = QualityFlag("NSE:AAA", QualityRule.STALE_REPEAT, DAY, "five times the same", excludes=True)
    other = QualityFlag("NSE:BBB", QualityRule.SCALE_BREAK, DAY, "x 0.1", excludes=True)
    new = QualityFlag("NSE:AAA", QualityRule.VOLUME_MISSING, DAY, "no volume", excludes=False)
    await quarantine.set_flags(["NSE:AAA", "NSE:BBB"], [old, other])
    await quarantine.set_flags(["NSE:AAA"], [new])
    assert list(await quarantine.flags()) == [new, other]
    changed = QualityFlag("NSE:AAA", QualityRule.VOLUME_MISSING, DAY, "no volume at all", excludes=True)
    await quarantine.set_flags(["NSE:AAA"], [changed])
    assert list(await quarantine.flags()) == [changed, other]
    await quarantine.set_flags(["NSE:AAA", "NSE:BBB"], [])
    assert list(await quarantine.flags()) == []


async def test_of_one_flag_given_twice_the_excluding_one_stays(quarantine: QuarantineStore) -> None:
    mild = QualityFlag("NSE:AAA", QualityRule.SCALE_BREAK, DAY, "maybe", excludes=False)
    strict = QualityFlag("NSE:AAA", QualityRule.SCALE_BREAK, DAY, "surely", excludes=True)
    await quarantine.set_flags(["NSE:AAA"], [mild, strict])
    assert list(await quarantine.flags()) == [strict]
