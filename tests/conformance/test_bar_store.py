"""BarStore: merging is idempotent, final bars stay final, what was asked for is remembered."""

from datetime import date

import numpy as np

from tests.store.market import walk
from vcpd.domain.bars import BarSeries, BarTable
from vcpd.ports import BarStore, MergeCounts, SessionSpan

FIRST = date(2024, 1, 1)
SPAN = SessionSpan(FIRST, date(2024, 12, 31))


def provisional(series: BarSeries, *, change: float = 0.0) -> BarSeries:
    """The same bars, marked provisional, closes moved by `change`."""
    records = series.records.copy()
    records["provisional"] = True
    records["close"] += change
    return BarSeries(series.symbol, records)


async def test_bars_come_back_as_they_went_in(bars: BarStore, instrument_ids: list[int]) -> None:
    series = walk("NSE:AAA", 300, seed=1)
    series.records["volume"][5] = np.nan
    counts = await bars.merge(BarTable.gather([(instrument_ids[0], series)]), {instrument_ids[0]: SPAN})
    back = await bars.series(instrument_ids[0])
    assert counts == MergeCounts(inserted=300)
    assert back.symbol == "NSE:AAA"
    assert back.records.tobytes() == series.records.tobytes()


async def test_merging_again_changes_nothing_and_only_what_differs_is_written(
    bars: BarStore, instrument_ids: list[int]
) -> None:
    key, series = instrument_ids[0], walk("NSE:AAA", 100, seed=2)
    await bars.merge(BarTable.gather([(key, series.until(series.sessions[89].item()))]), {})
    changed = BarSeries("NSE:AAA", series.records.copy())
    changed.records["close"][10] += 0.05
    expected = MergeCounts(inserted=10, updated=1, unchanged=89)
    assert await bars.merge(BarTable.gather([(key, changed)]), {}) == expected
    assert await bars.merge(BarTable.gather([(key, changed)]), {}) == MergeCounts(unchanged=100)


async def test_a_final_bar_is_never_replaced_by_a_provisional_one(
    bars: BarStore, instrument_ids: list[int]
) -> None:
    key, final = instrument_ids[0], walk("NSE:AAA", 10, seed=3)
    await bars.merge(BarTable.gather([(key, provisional(final, change=2.0))]), {})
    assert await bars.merge(BarTable.gather([(key, final)]), {}) == MergeCounts(updated=10)
    unfinished = provisional(final, change=1.0)
    assert await bars.merge(BarTable.gather([(key, unfinished)]), {}) == MergeCounts(unchanged=10)
    assert (await bars.series(key)).records.tobytes() == final.records.tobytes()


async def test_coverage_states_what_was_asked_for_and_what_is_there(
    bars: BarStore, instrument_ids: list[int]
) -> None:
    key, series = instrument_ids[1], walk("NSE:BBB", 20, seed=4)
    series.records["provisional"][-2:] = True
    await bars.merge(BarTable.gather([(key, series)]), {key: SessionSpan(FIRST, date(2024, 1, 20))})
    await bars.merge(BarTable.gather([]), {key: SessionSpan(date(2023, 1, 1), date(2024, 1, 10))})
    coverage = (await bars.coverage())[key]
    assert coverage.requested == SessionSpan(date(2023, 1, 1), date(2024, 1, 20))
    assert coverage.last_bar == series.sessions[-1].item()
    assert coverage.first_provisional == series.sessions[-2].item()


async def test_replacing_keeps_what_lies_outside_the_span(bars: BarStore, instrument_ids: list[int]) -> None:
    key, series = instrument_ids[0], walk("NSE:AAA", 10, seed=5)
    await bars.merge(BarTable.gather([(key, series)]), {})
    restated = BarSeries("NSE:AAA", series.records[5:].copy())
    for name in ("open", "high", "low", "close"):
        restated.records[name] /= 2
    span = SessionSpan(restated.sessions[0].item(), restated.sessions[-1].item())
    await bars.replace(key, restated, span)
    back = (await bars.series(key)).records
    assert back[:5].tobytes() == series.records[:5].tobytes()
    assert back[5:].tobytes() == restated.records.tobytes()
    assert len(await bars.series(key, span.first)) == 5
