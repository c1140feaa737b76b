"""Settings of collection and of the live watch."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct


class CollectSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How far bars go back, how they are fetched, and when they count as final."""

    history_years: Annotated[
        float, msgspec.Meta(gt=0, le=30, description="how far back a symbol's history is fetched")
    ] = 5.4
    overlap_sessions: Annotated[
        int,
        msgspec.Meta(
            ge=2, le=250, description="stored sessions that are fetched again, to notice a restated history"
        ),
    ] = 10
    concurrency: Annotated[
        int,
        msgspec.Meta(ge=1, le=64, description="candle requests under way at once; the limits space them"),
    ] = 6
    settled_after_min: Annotated[
        float,
        msgspec.Meta(
            ge=0, le=240, description="minutes after the close until quotes carry the closing auction's price"
        ),
    ] = 30.0
    final_hour: Annotated[
        int,
        msgspec.Meta(
            ge=0, le=23, description="hour of the next morning from which a session's candle is final"
        ),
    ] = 6
    give_up_after: Annotated[
        int,
        msgspec.Meta(ge=1, description="symbols in a row that fail before the market counts as unreachable"),
    ] = 20
    whole_every_sessions: Annotated[
        int,
        msgspec.Meta(
            ge=1,
            description="each morning this part of the universe has its whole history compared, in turns",
        ),
    ] = 20


class WatchSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whom to follow while the session runs, and when to believe what is seen. Seconds are real ones."""

    within_pct: Annotated[
        float, Meta(gt=0, le=50, description="follow bases whose pivot lies so little above the price")
    ] = 8.0
    candidates_most: Annotated[
        int, Meta(ge=1, le=500, description="follow so many bases at most, the best scores first")
    ] = 300
    hysteresis_pct: Annotated[
        float,
        Meta(ge=0, le=5, description="a level that was passed is lost only so far below it"),
    ] = 0.3
    volume_from_min: Annotated[
        float,
        Meta(ge=0, le=120, description="minutes after the open from which volume is projected to the close"),
    ] = 5.0
    restated_pct: Annotated[
        float,
        Meta(
            gt=0,
            le=50,
            description="a last close so far from the judged one: restated, not followed until judged anew",
        ),
    ] = 3.0
    during_heavy: Annotated[
        Literal["run", "skip"],
        Meta(description="what the watch does while a heavy job runs; each skip is a recorded run"),
    ] = "run"
    fall_back_after_s: Annotated[
        float, Meta(gt=0, le=300, description="ask for quotes once the live feed is gone for so long")
    ] = 5.0
    quotes_every_s: Annotated[
        float, Meta(ge=1, le=300, description="pause between two requests for quotes while the feed is gone")
    ] = 5.0
    silent_after_s: Annotated[
        float,
        Meta(ge=10, le=3600, description="no price at all for so long in a running session: connect anew"),
    ] = 60.0
    look_again_s: Annotated[
        float, Meta(ge=1, le=3600, description="how often to see whether other bases are followed now")
    ] = 30.0
    learn_days: Annotated[
        int,
        Meta(ge=0, le=60, description="days of minute bars from which a volume curve is learned; 0: never"),
    ] = 30
    learn_again_days: Annotated[
        int, Meta(ge=1, le=365, description="a volume curve so old is learned anew")
    ] = 30
