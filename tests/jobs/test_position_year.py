"""A year of an account, session by session, against a reference in plain Python, and with twenty kills.

Every rule fires on some planted path; the reference is written from the rules' definitions alone.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from typing import Final

import numpy as np
import pytest

from tests.fakes.collection import context
from tests.fakes.positions import FakeFillStore, FakeHoldings, FakePositionNotes, FakePositionReports
from tests.fakes.watch import FakeNotifier
from tests.jobs.sample_market import INDEX, MORNING, SESSION, SampleMarket, build_sample_market, history
from vcpd.analysis.positions import PositionSettings
from vcpd.analysis.sell_rules import SellRuleSettings
from vcpd.domain.alerts import Alert
from vcpd.domain.bars import BarSeries
from vcpd.domain.nse_calendar import NSE
from vcpd.domain.panel import build_panel
from vcpd.domain.portfolio import CurvePoint, Fill, PositionTexts, Side
from vcpd.domain.position_notes import CompanyNote, PurchaseNote
from vcpd.jobs.positions import PositionJudge, Positions

pytestmark = pytest.mark.timeout(240)
DAYS: Final[list[date]] = NSE.sessions(date(2024, 7, 1), SESSION).tolist()
BOUGHT: Final = 60
ENTRY, STOP, PIVOT = 100.0, 90.0, 99.0
RISK: Final = ENTRY - STOP
RULES: Final = SellRuleSettings(chandelier_atr=3.0)
SETTINGS: Final = PositionSettings(rules=RULES, equity=1e7)
RESULTS: Final = {"NSE:CALM": 150}  # the session of the meeting, by its place
Path = list[tuple[float, float, float, float]]


def path_through(*corners: tuple[int, float]) -> Path:
    """Bars of half a rupee around closes that run straight from corner to corner (place, close)."""
    places, closes = zip((0, ENTRY), (BOUGHT, ENTRY), *corners, strict=True)
    line = np.interp(np.arange(len(DAYS)), places, closes)
    return [(close, close + 0.5, close - 0.5, close) for close in line.tolist()]


def climbing_to_a_climax() -> Path:
    """A steady run of 40 %, then a week of gaps and wide ranges."""
    path = path_through((120, 140.0), (140, 141.0), (200, 120.0))
    for place in range(121, 126):
        close = 140.0 + 6.0 * (place - 120)
        path[place] = (close - 1.0, close + 3.0, close - 3.0, close)
    return path


PATHS: Final[dict[str, Path]] = {
    "NSE:STOP": path_through((80, 104.0), (90, 88.0), (110, 95.0)),
    "NSE:BACK": path_through((90, 125.0), (130, 98.0), (160, 110.0)),
    "NSE:TREND": path_through((150, 180.0), (200, 150.0), (240, 190.0)),
    "NSE:CALM": path_through((240, 103.0)),
    "NSE:FAIL": path_through((63, 102.0), (66, 97.0), (80, 108.0)),
    "NSE:CLIMAX": climbing_to_a_climax(),
}


def reference(path: Path, meeting: int | None) -> dict[int, dict[str, tuple[str, ...]]]:
    """The rules that fire after each place from the purchase on, with their numbers, by loops over lists."""
    fires: dict[int, dict[str, tuple[str, ...]]] = {}
    for at in range(BOUGHT, len(path)):
        closes = [bar[3] for bar in path[: at + 1]]
        highs = [closes[BOUGHT], ENTRY] + [bar[1] for bar in path[BOUGHT + 1 : at + 1]]
        lows = [closes[BOUGHT], ENTRY] + [bar[2] for bar in path[BOUGHT + 1 : at + 1]]
        close, low, held = closes[-1], path[at][2], at - BOUGHT
        best = (max(highs) - ENTRY) / RISK
        earlier = highs[:-1] if held else highs
        tested = low if (max(earlier) - ENTRY) / RISK >= 2 else close
        average, hung = sum(closes[-50:]) / 50, max(highs) - 3 * true_range(path[: at + 1])
        signs = climax_signs(path[: at + 1]) if held else 0
        away = -1 if meeting is None else meeting - at
        rows: list[tuple[str, bool, tuple[str, ...]]] = [
            ("initial_stop", min(lows) <= STOP, (f"{min(lows):,.2f}", f"{STOP:,.2f}")),
            ("breakeven", best >= 2 and tested <= ENTRY, (f"{tested:,.2f}", f"{ENTRY:,.2f}")),
            ("trailing_average", best >= 1 and close < average, (f"{close:,.2f}", f"{average:,.2f}")),
            ("chandelier", held > 0 and close < hung, (f"{close:,.2f}", f"{hung:,.2f}")),
            ("time_stop", best < 1 and held >= 25, (f"{held} of 25 sessions", f"{best:.2f} R")),
            ("squat", held == 0 and close < PIVOT, (f"{close:,.2f}", f"{PIVOT:,.2f}")),
            ("failed_breakout", 0 < held <= 10 and close < PIVOT, (f"{close:,.2f}", f"{PIVOT:,.2f}")),
            (
                "climax",
                max(highs) >= 1.25 * ENTRY and signs >= 2,
                (f"{signs} of 4", f"{max(highs) - ENTRY:.0f} %"),
            ),
            ("strength", max(highs) >= ENTRY + 3 * RISK, (f"{max(highs):,.2f}", f"{ENTRY + 3 * RISK:,.2f}")),
            ("results_due", 0 <= away <= 3, (f"in {away} sessions",)),
        ]
        fires[at] = {name: numbers for name, holds, numbers in rows if holds}
    return fires


def true_range(path: Path) -> float:
    pairs = list(pairwise(path[-23:]))
    return sum(max(bar[1], before[3]) - min(bar[2], before[3]) for before, bar in pairs) / 22


def climax_signs(path: Path) -> int:
    held = path[BOUGHT:]
    ranges = [bar[1] - bar[2] for bar in held]
    closes = [bar[3] for bar in held]
    weeks = [later / sooner - 1 for sooner, later in zip(closes[:-5], closes[5:], strict=True)]
    last = [bar[3] for bar in path[-11:]]
    rising = sum(later > sooner for sooner, later in pairwise(last))
    gap = held[-1][0] / held[-2][1] - 1
    return sum((largest(ranges), largest(weeks), rising >= 8, gap >= 0.02))


def largest(values: Sequence[float]) -> bool:
    return len(values) > 5 and values[-1] > max(0.0, *values[:-1])


def expected_numbers() -> dict[tuple[str, str, date], tuple[str, ...]]:
    """Each rule on each session on which it fires and did not before, with the numbers in its text."""
    found: dict[tuple[str, str, date], tuple[str, ...]] = {}
    for symbol, path in PATHS.items():
        before: dict[str, tuple[str, ...]] = {}
        for at, fires in reference(path, RESULTS.get(symbol)).items():
            result = f"{(path[at][3] - ENTRY) / RISK:.6f}"
            found |= {
                (symbol, name, DAYS[at]): (*fires[name], result) for name in fires.keys() - before.keys()
            }
            before = fires
    return found


def expected_alerts() -> set[tuple[str, str, date]]:
    """Without the numbers."""
    return set(expected_numbers())


class DeathError(Exception):
    """The process ends here."""


@dataclass
class MortalNotifier(FakeNotifier):
    """Dies before or after publishing when it is told to; `sent` counts what went out."""

    deaths: set[int] = field(default_factory=set)
    calls: int = 0

    async def publish(self, alerts: Sequence[Alert]) -> int:
        self.calls += 1
        if self.calls in self.deaths and self.calls % 2:
            raise DeathError
        added = await super().publish(alerts)
        if self.calls in self.deaths:
            raise DeathError
        return added


@dataclass
class MortalReports(FakePositionReports):
    """Dies before or after writing."""

    deaths: set[int] = field(default_factory=set)
    calls: int = 0

    async def put(self, point: CurvePoint, texts: PositionTexts) -> None:
        self.calls += 1
        if self.calls in self.deaths and self.calls % 2:
            raise DeathError
        await super().put(point, texts)
        if self.calls in self.deaths:
            raise DeathError


def series_of(symbol: str, path: Path) -> BarSeries:
    opens, highs, lows, closes = (np.array(column) for column in zip(*path, strict=True))
    volume = np.full(len(path), 1e5)
    return BarSeries.from_columns(symbol, np.array(DAYS, "M8[D]"), (opens, highs, lows, closes), volume)


async def account_market() -> SampleMarket:
    index = history(INDEX.symbol, SESSION, len(DAYS))
    market = build_sample_market([index, *(history(symbol, SESSION) for symbol in PATHS)], now=MORNING)
    await market.collect()(context(SESSION))
    reference_ = await market.universe_panels.current_or_new()
    panel = build_panel([series_of(symbol, path) for symbol, path in PATHS.items()], index)
    market.panels.snapshots[reference_.version] = panel
    return market


def notes_of() -> FakePositionNotes:
    known = {
        symbol: CompanyNote(
            symbol=symbol,
            instrument_id=number,
            results_on=DAYS[RESULTS[symbol]] if symbol in RESULTS else None,  # also once it lies behind
        )
        for number, symbol in enumerate(PATHS)
    }
    bought = [PurchaseNote(symbol=symbol, session=DAYS[BOUGHT], pivot=PIVOT) for symbol in PATHS]
    return FakePositionNotes(known, bought)


@dataclass
class Year:
    """The stores outlive every death; the job is made anew for each session."""

    market: SampleMarket
    fills: FakeFillStore
    reports: FakePositionReports
    notifier: FakeNotifier
    deaths: int = 0

    async def run(self) -> None:
        for at, day in enumerate(DAYS):
            if at < BOUGHT - 1:
                continue
            while not await self._judge(at, day):
                self.deaths += 1

    async def _judge(self, at: int, day: date) -> bool:
        market = self.market
        judge = PositionJudge(
            market.universe_panels,
            market.workers,
            market.bars,
            self.fills,
            notes_of(),
            self.reports,
            FakeHoldings(),
            NSE,
        )
        try:
            await Positions(judge, self.notifier, market.clock, SETTINGS)(context(day, "positions"))
        except DeathError:
            return False
        return True

    def published(self) -> set[tuple[str, str, date]]:
        return {
            (str(alert.symbol), str(alert.facts["rule"]).replace(" ", "_"), alert.session or date.min)
            for alert in self.notifier.published.values()
        }


async def bought() -> FakeFillStore:
    fills = FakeFillStore()
    await fills.add(
        [
            Fill(
                symbol=symbol,
                session=DAYS[BOUGHT],
                side=Side.BUY,
                quantity=100,
                price=ENTRY,
                trade_id="1",
                stop=STOP,
            )
            for symbol in PATHS
        ]
    )
    return fills


def test_the_planted_year_lets_every_rule_fire() -> None:
    assert {name for _, name, _ in expected_alerts()} == {
        *("initial_stop", "breakeven", "trailing_average", "chandelier", "time_stop"),
        *("failed_breakout", "climax", "strength", "results_due"),
    }


async def test_each_rule_is_reported_on_the_session_that_the_reference_says() -> None:
    year = Year(await account_market(), await bought(), FakePositionReports(), FakeNotifier())
    await year.run()
    assert year.published() == expected_alerts()
    assert len(year.notifier.published) == len(expected_alerts())
    numbers = expected_numbers()
    for alert in year.notifier.published.values():
        assert alert.session is not None
        name = str(alert.facts["rule"]).replace(" ", "_")
        *parts, result = numbers[str(alert.symbol), name, alert.session]
        assert all(part in str(alert.facts["detail"]) for part in parts), alert.facts["detail"]
        assert f"{alert.facts['result_r']:.6f}" == result
    assert list(year.reports.points) == DAYS[BOUGHT - 1 :]


@pytest.mark.parametrize("seed", range(2))
async def test_after_twenty_kills_nothing_is_lost_and_nothing_is_reported_twice(seed: int) -> None:
    chance = random.Random(seed)
    sessions = range(1, len(DAYS) - BOUGHT)
    notifier = MortalNotifier(deaths=set(chance.sample(sessions, 10)))
    reports = MortalReports(deaths=set(chance.sample(sessions, 10)))
    year = Year(await account_market(), await bought(), reports, notifier)
    await year.run()
    assert year.deaths == 20
    assert year.published() == expected_alerts()
    assert len(notifier.published) == len(expected_alerts())
    assert list(reports.points) == DAYS[BOUGHT - 1 :]
