"""What an owner may set about keeping the bars complete."""

from typing import Annotated

import msgspec


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
