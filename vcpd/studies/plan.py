"""Study plan: the tables of a plan file, each value or list of values an axis of the search."""

from datetime import date
from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from vcpd.analysis.thresholds import Thresholds
from vcpd.studies.dated_universe import DatedUniverse, UniverseFacts, UniverseFilter
from vcpd.studies.rules import EntryKind, ExitKind, ExitRule, FillRules, PortfolioRules, StopKind, StopRule

SearchKind: TypeAlias = Literal["grid", "random"]
Positive: TypeAlias = Annotated[float, msgspec.Meta(gt=0)]
Sessions: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=500)]
MAX_CELLS: Final = 20_000


class StopChoices(msgspec.Struct, frozen=True, kw_only=True):
    """`[stop]`: every stop that is tried."""

    own: bool = False
    structural: bool = False
    percent: tuple[Annotated[float, msgspec.Meta(gt=0, le=50)], ...] = ()
    atr: tuple[Positive, ...] = ()

    @property
    def rules(self) -> tuple[StopRule, ...]:
        """The stops in a fixed order; the base's own where none is named."""
        named = [StopRule(StopKind.OWN)] if self.own else []
        named += [StopRule(StopKind.STRUCTURAL)] if self.structural else []
        named += [StopRule(StopKind.PERCENT, value) for value in self.percent]
        named += [StopRule(StopKind.ATR, value) for value in self.atr]
        return tuple(named) or (StopRule(),)


class ExitChoices(msgspec.Struct, frozen=True, kw_only=True):
    """`[exit]`: every exit that is tried, besides the stop and the holding limit that each trade has."""

    hold: bool = False
    target_r: tuple[Positive, ...] = ()
    time_sessions: tuple[Sessions, ...] = ()
    time_least_r: float = 0.0
    average_sessions: tuple[Annotated[int, msgspec.Meta(ge=2, le=250)], ...] = ()
    chandelier_atr: tuple[Positive, ...] = ()
    half_r: tuple[Positive, ...] = ()

    @property
    def rules(self) -> tuple[ExitRule, ...]:
        """The exits in a fixed order; holding to the stop or the limit where none is named."""
        named = [ExitRule(ExitKind.HOLD)] if self.hold else []
        named += [ExitRule(ExitKind.TARGET, value) for value in self.target_r]
        named += [ExitRule(ExitKind.TIME, float(value), self.time_least_r) for value in self.time_sessions]
        named += [ExitRule(ExitKind.AVERAGE, float(value)) for value in self.average_sessions]
        named += [ExitRule(ExitKind.CHANDELIER, value) for value in self.chandelier_atr]
        named += [ExitRule(ExitKind.HALF, value) for value in self.half_r]
        return tuple(named) or (ExitRule(),)


class PortfolioChoices(msgspec.Struct, frozen=True, kw_only=True):
    """`[portfolio]`: the account, and every way of sizing that is tried."""

    equity: Positive = 1_000_000.0
    risk_pct: tuple[Annotated[float, msgspec.Meta(gt=0, le=10)], ...] = (0.5,)
    positions: tuple[Annotated[int, msgspec.Meta(ge=1, le=1000)], ...] = (12,)
    heat_pct: tuple[Annotated[float, msgspec.Meta(gt=0, le=100)], ...] = (6.0,)

    @property
    def rules(self) -> tuple[PortfolioRules, ...]:
        return tuple(
            PortfolioRules(risk_pct=risk, positions=positions, heat_pct=heat)
            for risk in self.risk_pct
            for positions in self.positions
            for heat in self.heat_pct
        )


class ValidationPlan(msgspec.Struct, frozen=True, kw_only=True):
    """`[validation]`: the guards against luck."""

    train_months: Annotated[int, msgspec.Meta(ge=3, le=240)] = 24
    test_months: Annotated[int, msgspec.Meta(ge=1, le=120)] = 6
    sealed_months: Annotated[int, msgspec.Meta(ge=0, le=120)] = 12
    placebos: Annotated[int, msgspec.Meta(ge=0, le=50)] = 5  # random purchases of each kind for each trade
    interval_pct: Annotated[float, msgspec.Meta(ge=50, lt=100)] = 90.0
    least_trades: Annotated[int, msgspec.Meta(ge=2)] = 20  # a cell with fewer is never the best


class StudyPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A whole plan: `settings` are the thresholds of `[screen]` in every combination."""

    seed: int = 1
    search: SearchKind = "grid"
    cells: Annotated[int, msgspec.Meta(ge=1, le=MAX_CELLS)] = 200  # of a random search
    first: date | None = None
    last: date | None = None
    entry: tuple[EntryKind, ...] = (EntryKind.CLOSE,)
    holding_sessions: tuple[Sessions, ...] = (60,)
    stop: StopChoices = StopChoices()
    exit: ExitChoices = ExitChoices()
    portfolio: PortfolioChoices = PortfolioChoices()
    universe: UniverseFilter = UniverseFilter()
    fills: FillRules = FillRules()
    validation: ValidationPlan = ValidationPlan()
    settings: tuple[Thresholds, ...] = (Thresholds(),)
    varied: tuple[str, ...] = ()  # the names of `[screen]` that have several values
    facts: UniverseFacts = UniverseFacts()  # read beside the plan

    def __post_init__(self) -> None:
        if self.first is not None and self.last is not None and self.first > self.last:
            raise ValueError(f"first {self.first} lies after last {self.last}")
        if not self.entry:
            raise ValueError("entry: expected at least one of close, next_open, stop_order")
        if not (self.holding_sessions and self.portfolio.rules):
            raise ValueError("holding_sessions and [portfolio]: expected at least one value of each")

    @property
    def dated_universe(self) -> DatedUniverse:
        """The universe of each date."""
        return DatedUniverse(self.universe, self.facts)
