"""Flags that the market itself raises on its histories, among those that the panel's bars raise."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from tests.fakes.collection import context
from tests.jobs.sample_market import SESSION, build_sample_market, history
from vcpd.core.errors import RetryableError, VcpdError
from vcpd.domain.quality_rules import QualityFlag, QualityRule
from vcpd.domain.runs import Progress


@dataclass
class FakeFlagSource:
    """Answers what it was given, or raises."""

    flags: Sequence[QualityFlag] = ()
    error: VcpdError | None = None
    asked_since: list[date] = field(default_factory=list)

    async def history_flags(self, since: date) -> Sequence[QualityFlag]:
        self.asked_since.append(since)
        if self.error is not None:
            raise self.error
        return self.flags


def flag(symbol: str) -> QualityFlag:
    return QualityFlag(symbol, QualityRule.ACTION_NOT_APPLIED, SESSION, "unclear", excludes=True)


async def refreshed(*sources: FakeFlagSource) -> list[str]:
    """The symbols flagged for an action after a refresh with each source in turn."""
    market = build_sample_market([history("NSE:A"), history("NSE:B")])
    await market.collect()(context(SESSION))
    for source in sources:
        await replace(market.panel_refresh, history_flags=source)(SESSION, Progress())
    flags = await market.quarantine.flags()
    return [raised.symbol for raised in flags if raised.rule is QualityRule.ACTION_NOT_APPLIED]


async def test_the_market_s_flags_are_kept_for_symbols_of_the_panel_alone() -> None:
    source = FakeFlagSource([flag("NSE:A"), flag("NSE:ELSEWHERE")])
    assert await refreshed(source) == ["NSE:A"]
    assert (SESSION - source.asked_since[0]).days == 600


async def test_a_flag_goes_once_the_action_is_understood() -> None:
    assert await refreshed(FakeFlagSource([flag("NSE:A")]), FakeFlagSource()) == []


async def test_a_known_flag_remains_while_the_market_cannot_say() -> None:
    away = FakeFlagSource(error=RetryableError("no answer"))
    assert await refreshed(FakeFlagSource([flag("NSE:A")]), away) == ["NSE:A"]
