"""Parameters of the pattern detector, their form for the kernels, and how numbers are compared."""

import math
from typing import Annotated, ClassVar, Final, NamedTuple

import msgspec

# Relative: values that differ by less are equal, so that no price unit and no rounding decides.
TIE_TOLERANCE: Final = 1e-9


def is_at_most(value: float, limit: float) -> bool:
    """Whether a value is at most its limit, equal values included however they were rounded."""
    return value <= limit + TIE_TOLERANCE * abs(limit)


class SearchRules(NamedTuple):
    """The numbers that the search kernels need; ratios are fractions, lengths are sessions."""

    anchor_side: int
    anchor_lookback: int
    min_base_sessions: int
    max_base_sessions: int
    max_rise_above_anchor: float
    cap_share: float
    turn_atr_share: float
    min_turn: float
    max_turn: float
    min_rally_recovery: float
    max_peak_rise: float
    max_depth_ratio: float
    max_hidden_pullback: float
    min_peak_gap: int
    min_final_sessions: int
    deep_final_depth: float
    min_depth: float
    ideal_ratio_log2: float
    ratio_penalty: float
    leg_cost: float
    length_bonus: float
    max_reclaim_sessions: int
    undercut_share: float
    min_contractions: int
    max_contractions: int
    base_depth_least: float
    base_depth_most: float
    final_depth_most: float
    max_final_to_first: float
    advance_least: float
    advance_window: int


class TrendRules(NamedTuple):
    """The numbers of the trend template that its kernel needs."""

    rise_sessions: int
    above_low: float
    below_high: float
    rating_least: float
    window: int


class Thresholds(msgspec.Struct, frozen=True, cache_hash=True, forbid_unknown_fields=True, kw_only=True):
    """The pattern's numbers. Raises ValueError where two of them contradict each other."""

    reloadable: ClassVar[bool] = True

    minimum_bars: Annotated[
        int, msgspec.Meta(ge=20, le=1000, description="with fewer bars a symbol is never a setup")
    ] = 60
    allow_one_trend_miss: Annotated[
        bool, msgspec.Meta(description="let a setup miss one of the eight trend criteria")
    ] = False
    trend_rise_sessions: Annotated[
        int, msgspec.Meta(ge=1, le=250, description="SMA 200 must be above its value this many sessions ago")
    ] = 22
    above_low_pct: Annotated[
        float,
        msgspec.Meta(ge=0, le=500, description="close at least this many percent above the 252-session low"),
    ] = 30.0
    below_high_pct: Annotated[
        float,
        msgspec.Meta(gt=0, lt=100, description="close at most this many percent below the 252-session high"),
    ] = 25.0
    min_rs_rating: Annotated[
        int, msgspec.Meta(ge=1, le=99, description="relative strength rating of a leader, at least")
    ] = 70
    min_rs_universe: Annotated[
        int, msgspec.Meta(ge=2, le=10000, description="with fewer rated symbols the rating is unknown")
    ] = 20
    anchor_side_bars: Annotated[
        int, msgspec.Meta(ge=1, le=10, description="bars on each side that an anchor's high must top")
    ] = 2
    anchor_lookback_bars: Annotated[
        int, msgspec.Meta(ge=1, le=60, description="bars before an anchor that its high must top")
    ] = 10
    min_base_sessions: Annotated[
        int, msgspec.Meta(ge=5, le=100, description="sessions from the anchor to now, at least")
    ] = 13
    max_base_sessions: Annotated[
        int, msgspec.Meta(ge=60, le=325, description="sessions from the anchor to now, at most")
    ] = 325
    cap_pct: Annotated[
        float,
        msgspec.Meta(ge=0, le=20, description="a later high may top the anchor by at most this many percent"),
    ] = 3.0
    cap_depth_share: Annotated[
        float, msgspec.Meta(ge=0, le=1, description="... and by at most this share of the base's depth")
    ] = 0.15
    swing_atr_share: Annotated[
        float, msgspec.Meta(gt=0, le=5, description="a swing turns after this share of ATR 20")
    ] = 0.6
    min_swing_pct: Annotated[float, msgspec.Meta(gt=0, le=10, description="a swing never turns on less")] = (
        1.0
    )
    max_swing_pct: Annotated[float, msgspec.Meta(gt=0, le=30, description="a swing always turns on more")] = (
        5.0
    )
    rally_recovers_share: Annotated[
        float, msgspec.Meta(ge=0, le=1, description="share of a contraction that its rally must recover")
    ] = 0.40
    peak_rise_pct: Annotated[
        float,
        msgspec.Meta(
            ge=0, le=20, description="the most by which a peak may be above the one before, percent"
        ),
    ] = 3.0
    max_depth_ratio: Annotated[
        float, msgspec.Meta(gt=0, lt=1, description="depth of a contraction over the one before, at most")
    ] = 0.80
    hidden_pullback_ratio: Annotated[
        float, msgspec.Meta(ge=0, le=3, description="pullback inside a rally over the next depth, at most")
    ] = 1.2
    peak_gap_sessions: Annotated[
        int, msgspec.Meta(ge=1, le=30, description="sessions between two peaks, at least")
    ] = 4
    final_leg_sessions: Annotated[
        int, msgspec.Meta(ge=1, le=30, description="length of the final contraction, at least")
    ] = 3
    final_leg_deep_pct: Annotated[
        float, msgspec.Meta(gt=0, le=50, description="... unless it is this deep already")
    ] = 6.0
    min_depth_pct: Annotated[
        float, msgspec.Meta(gt=0, le=10, description="a shallower fall is no contraction")
    ] = 1.5
    ideal_depth_ratio: Annotated[
        float, msgspec.Meta(gt=0, lt=1, description="depth over the one before that is valued most")
    ] = 0.5
    ratio_penalty: Annotated[
        float, msgspec.Meta(ge=0, le=5, description="value lost for each doubling away from that ratio")
    ] = 0.75
    leg_cost: Annotated[
        float, msgspec.Meta(ge=0, le=1, description="value that every further contraction costs")
    ] = 0.25
    length_bonus: Annotated[
        float, msgspec.Meta(ge=0, le=1, description="value of a base's length, times ln(1 + weeks)")
    ] = 0.075
    reclaim_sessions: Annotated[
        int,
        msgspec.Meta(ge=0, le=30, description="an undercut low must be reclaimed within this many sessions"),
    ] = 5
    undercut_share: Annotated[
        float, msgspec.Meta(ge=0, le=1, description="an undercut may be this share of the base's depth")
    ] = 0.35
    min_contractions: Annotated[
        int, msgspec.Meta(ge=2, le=6, description="contractions of a base, at least")
    ] = 2
    max_contractions: Annotated[
        int, msgspec.Meta(ge=2, le=6, description="contractions of a base, at most")
    ] = 6
    min_base_depth_pct: Annotated[
        float, msgspec.Meta(ge=0, lt=60, description="depth of the whole base, at least")
    ] = 10.0
    max_base_depth_pct: Annotated[
        float, msgspec.Meta(gt=0, lt=60, description="depth of the whole base, at most; 60 is never a base")
    ] = 40.0
    max_final_depth_pct: Annotated[
        float, msgspec.Meta(gt=0, le=30, description="depth of the final contraction, at most")
    ] = 10.0
    max_final_to_first: Annotated[
        float, msgspec.Meta(gt=0, le=1, description="final depth over the first, at most")
    ] = 0.5
    min_prior_advance_pct: Annotated[
        float, msgspec.Meta(ge=0, le=500, description="advance into the anchor, at least")
    ] = 30.0
    prior_advance_sessions: Annotated[
        int, msgspec.Meta(ge=5, le=500, description="sessions before the anchor that may hold the advance")
    ] = 126
    dry_ratio: Annotated[
        float, msgspec.Meta(gt=0, le=5, description="final leg's volume over its average: dry below this")
    ] = 1.0
    very_dry_ratio: Annotated[float, msgspec.Meta(gt=0, le=5, description="... and very dry up to this")] = (
        0.7
    )
    tight_range_pct: Annotated[
        float, msgspec.Meta(gt=0, le=50, description="ten sessions are tight within this range")
    ] = 6.0
    tight_range_atr: Annotated[
        float, msgspec.Meta(gt=0, le=20, description="... and within this many ATR 20")
    ] = 3.0
    tight_closes_pct: Annotated[
        float, msgspec.Meta(gt=0, le=20, description="three closes are tight within this range")
    ] = 1.5
    buy_zone_pct: Annotated[
        float, msgspec.Meta(gt=0, le=20, description="the buy zone ends this many percent above the pivot")
    ] = 5.0
    near_pivot_pct: Annotated[
        float, msgspec.Meta(gt=0, le=20, description="a close this little below the pivot is near it")
    ] = 5.0
    stop_atr_share: Annotated[
        float,
        msgspec.Meta(
            ge=0, le=5, description="distance of the stop below the final low, as a share of ATR 20"
        ),
    ] = 0.25
    max_stop_pct: Annotated[
        float, msgspec.Meta(gt=0, le=50, description="... and never further below the entry than this")
    ] = 8.0
    max_risk_pct: Annotated[
        float, msgspec.Meta(gt=0, le=50, description="risk from entry to under the final low, at most")
    ] = 8.0
    structure_stay_pct: Annotated[
        float,
        msgspec.Meta(ge=0, le=50, description="a setup may miss a gate of its structure by this share"),
    ] = 1.2
    trend_stay_pct: Annotated[
        float, msgspec.Meta(ge=0, le=20, description="... and the limit of a trend criterion by this share")
    ] = 1.3
    rs_rating_stay: Annotated[
        int, msgspec.Meta(ge=1, le=99, description="... while its relative strength rating is at least this")
    ] = 69
    stay_sessions: Annotated[
        int,
        msgspec.Meta(ge=0, le=20, description="a setup that misses a gate leaves after this many sessions"),
    ] = 3
    new_contraction_sessions: Annotated[
        int,
        msgspec.Meta(
            ge=1, le=30, description="a further contraction moves pivot and stop after this many sessions"
        ),
    ] = 9
    young_second_stage: Annotated[
        bool, msgspec.Meta(description="let SMA 150 be below SMA 200 over a long base")
    ] = True
    second_stage_sessions: Annotated[
        int, msgspec.Meta(ge=13, le=325, description="... of at least this many sessions")
    ] = 100
    primary_bases: Annotated[
        bool, msgspec.Meta(description="admit bases from the first high of a young listing")
    ] = False
    shelves: Annotated[bool, msgspec.Meta(description="admit shelves on top of bases that broke out")] = False
    raised_cap_pct: Annotated[
        float,
        msgspec.Meta(ge=0, le=20, description="highs of these two may top the anchor by this many percent"),
    ] = 8.0
    shelf_sessions: Annotated[
        int,
        msgspec.Meta(ge=3, le=250, description="a shelf ends this many sessions after the breakout below"),
    ] = 40
    breakout_volume_ratio: Annotated[
        float, msgspec.Meta(gt=0, le=20, description="volume over its average that confirms a breakout")
    ] = 1.4
    squat_sessions: Annotated[
        int,
        msgspec.Meta(ge=1, le=60, description="back under the pivot within this many sessions is a squat"),
    ] = 10
    replay_sessions: Annotated[
        int, msgspec.Meta(ge=1, le=250, description="a base expires after this many sessions without gates")
    ] = 40

    def __post_init__(self) -> None:
        for least, most in _ORDERED_PAIRS:
            low, high = getattr(self, least), getattr(self, most)
            if low > high:
                raise ValueError(f"{least} must be at most {most} {high:g}, was {low:g}")

    @property
    def criteria_allowed_to_fail(self) -> int:
        return 1 if self.allow_one_trend_miss else 0

    @property
    def admits_variants(self) -> bool:
        """Whether any kind of base beyond the first definition is switched on."""
        return self.primary_bases or self.shelves

    @property
    def trend_rules(self) -> TrendRules:
        return TrendRules(
            rise_sessions=self.trend_rise_sessions,
            above_low=1 + self.above_low_pct / 100,
            below_high=1 - self.below_high_pct / 100,
            rating_least=float(self.min_rs_rating),
            window=252,
        )

    @property
    def rules(self) -> SearchRules:
        """The search's part, in the kernels' units."""
        return SearchRules(
            anchor_side=self.anchor_side_bars,
            anchor_lookback=self.anchor_lookback_bars,
            min_base_sessions=self.min_base_sessions,
            max_base_sessions=self.max_base_sessions,
            max_rise_above_anchor=self.cap_pct / 100,
            cap_share=self.cap_depth_share,
            turn_atr_share=self.swing_atr_share,
            min_turn=self.min_swing_pct / 100,
            max_turn=self.max_swing_pct / 100,
            min_rally_recovery=self.rally_recovers_share,
            max_peak_rise=1 + self.peak_rise_pct / 100,
            max_depth_ratio=self.max_depth_ratio,
            max_hidden_pullback=self.hidden_pullback_ratio,
            min_peak_gap=self.peak_gap_sessions,
            min_final_sessions=self.final_leg_sessions,
            deep_final_depth=self.final_leg_deep_pct / 100,
            min_depth=self.min_depth_pct / 100,
            ideal_ratio_log2=math.log2(self.ideal_depth_ratio),
            ratio_penalty=self.ratio_penalty,
            leg_cost=self.leg_cost,
            length_bonus=self.length_bonus,
            max_reclaim_sessions=self.reclaim_sessions,
            undercut_share=self.undercut_share,
            min_contractions=self.min_contractions,
            max_contractions=self.max_contractions,
            base_depth_least=self.min_base_depth_pct / 100,
            base_depth_most=self.max_base_depth_pct / 100,
            final_depth_most=self.max_final_depth_pct / 100,
            max_final_to_first=self.max_final_to_first,
            advance_least=self.min_prior_advance_pct / 100,
            advance_window=self.prior_advance_sessions,
        )


_ORDERED_PAIRS: Final = (
    ("min_swing_pct", "max_swing_pct"),
    ("min_contractions", "max_contractions"),
    ("min_base_depth_pct", "max_base_depth_pct"),
    ("min_base_sessions", "max_base_sessions"),
    ("anchor_side_bars", "min_base_sessions"),  # an anchor must be one before its base is
    ("very_dry_ratio", "dry_ratio"),
    ("rs_rating_stay", "min_rs_rating"),
)
