"""Settings of the universe, of collection, of the live watch, and of backups."""

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta, Struct


class UniverseSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which instruments are collected. Without lists and symbols: every share of NSE's EQ series."""

    reloadable: ClassVar[bool] = True

    lists: Annotated[
        tuple[str, ...],
        msgspec.Meta(description="CSV files with a `Symbol` column, as NSE publishes its indices' members"),
    ] = ()
    sectors: Annotated[
        tuple[str, ...],
        msgspec.Meta(
            description="further such files that add no members: `Sector` and `Industry`, or "
            "`Industry` alone, give the sectors"
        ),
    ] = ()
    symbols: Annotated[
        tuple[str, ...], msgspec.Meta(description="further symbols, such as `INFY` or `NSE:INFY`")
    ] = ()
    exclude: Annotated[
        tuple[str, ...], msgspec.Meta(description="symbols to leave out, even if listed above")
    ] = ()
    indices: Annotated[
        tuple[str, ...], msgspec.Meta(description="indices whose bars are always collected")
    ] = ("NSE:NIFTY 50", "NSE:NIFTY 500")
    benchmark: Annotated[
        str,
        msgspec.Meta(
            min_length=1, description="the index that relative strength and beta are measured against"
        ),
    ] = "NSE:NIFTY 500"
    funds: Annotated[
        bool,
        msgspec.Meta(
            description="whether exchange-traded funds, which the exchange lists in the series of shares, "
            "are included; those named in `symbols` always are"
        ),
    ] = False
    sme: Annotated[
        bool, msgspec.Meta(description="whether shares of the platform for small enterprises are included")
    ] = False
    min_price: Annotated[
        float,
        msgspec.Meta(
            ge=0,
            description="shares that close below this are neither screened nor scored; below about 20 rupees "
            "one tick is a large step",
        ),
    ] = 20.0
    min_traded_value: Annotated[
        float,
        msgspec.Meta(
            ge=0,
            description="median traded value per day (rupees, 50 sessions) below which a share is left out; "
            "2 crore a day allows a position of 10 lakh to be sold within a session",
        ),
    ] = 20_000_000.0
    max_idle_pct: Annotated[
        float,
        msgspec.Meta(
            ge=0,
            le=100,
            description="percentage of the last 63 sessions without volume or without a range above which a "
            "share is left out, of files too; 100 keeps all",
        ),
    ] = 10.0


class CollectSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How far bars go back, how they are fetched, and when they count as final."""

    reloadable: ClassVar[bool] = True

    history_years: Annotated[
        float, msgspec.Meta(gt=0, le=30, description="years of history fetched per symbol")
    ] = 5.4
    overlap_sessions: Annotated[
        int,
        msgspec.Meta(
            ge=2, le=250, description="stored sessions that are fetched again to detect a restated history"
        ),
    ] = 10
    concurrency: Annotated[
        int,
        msgspec.Meta(ge=1, le=64, description="concurrent candle requests; [limits] bounds their rate"),
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
    max_consecutive_failures: Annotated[
        int,
        msgspec.Meta(
            ge=1, description="consecutive failed symbols after which the market counts as unreachable"
        ),
    ] = 20
    full_compare_interval_sessions: Annotated[
        int,
        msgspec.Meta(
            ge=1,
            description="sessions in which every symbol's whole history is compared once",
        ),
    ] = 20


class WatchSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which bases are followed during the session, and when prices are trusted. Seconds are wall-clock."""

    reloadable: ClassVar[bool] = True

    max_distance_to_pivot_pct: Annotated[
        float, Meta(gt=0, le=50, description="follow bases whose pivot is at most this far above the price")
    ] = 8.0
    max_candidates: Annotated[
        int, Meta(ge=1, le=500, description="bases followed at most, the nearest to their pivots first")
    ] = 300
    hysteresis_pct: Annotated[
        float,
        Meta(ge=0, le=5, description="a level that was crossed is lost only this far below it"),
    ] = 0.3
    volume_projection_after_min: Annotated[
        float,
        Meta(
            ge=0,
            le=120,
            description="minutes after the open before which volume is not projected to the close",
        ),
    ] = 5.0
    max_previous_close_change_pct: Annotated[
        float,
        Meta(
            gt=0,
            le=50,
            description="a symbol whose previous close differs by more from the screened one is not followed",
        ),
    ] = 3.0
    during_heavy: Annotated[
        Literal["run", "skip"],
        Meta(description="what the watch does while a heavy job runs; each skip is recorded as a run"),
    ] = "run"
    quote_fallback_after_s: Annotated[
        float, Meta(gt=0, le=300, description="request quotes once the live feed is down for this long")
    ] = 5.0
    quote_interval_s: Annotated[
        float, Meta(ge=1, le=300, description="interval of quote requests while the feed is down")
    ] = 5.0
    feed_timeout_s: Annotated[
        float,
        Meta(ge=10, le=3600, description="no price for this long in a running session: reconnect"),
    ] = 60.0
    candidate_refresh_s: Annotated[
        float, Meta(ge=1, le=3600, description="interval at which the list of followed bases is refreshed")
    ] = 30.0
    volume_curve_days: Annotated[
        int,
        Meta(ge=0, le=60, description="days of minute bars that a volume curve is estimated from; 0: none"),
    ] = 30
    volume_curve_max_age_days: Annotated[
        int, Meta(ge=1, le=365, description="a volume curve older than this is estimated again")
    ] = 30


class BackupSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Scheduled backups of the store; [jobs.backup] says when."""

    reloadable: ClassVar[bool] = True

    enabled: Annotated[
        bool | None,
        Meta(description="Whether the job `backup` writes backups; unset: only of the embedded store."),
    ] = None
    folder: Annotated[
        str,
        Meta(
            min_length=1,
            description="Folder of the backups, relative to the state directory; better on another disk.",
        ),
    ] = "backups"
    keep: Annotated[int, Meta(ge=1, le=1000, description="Number of scheduled backups that are kept.")] = 7
    max_age_days: Annotated[
        float, Meta(gt=0, le=365, description="Age of the newest backup above which the health score falls.")
    ] = 3.0
    trial_restore_interval_days: Annotated[
        int,
        Meta(
            ge=0,
            le=365,
            description="Days between trial restores of a new backup into a scratch schema; 0: none.",
        ),
    ] = 30
