"""Settings of the bhavcopy adapter: sources, request rate, retries, ageing of files."""

from typing import Annotated, ClassVar

from msgspec import Meta, Struct

ACTIONS_URL = (
    "https://www.nseindia.com/api/corporates-corporateActions"
    "?index=equities&from_date={first:%d-%m-%Y}&to_date={last:%d-%m-%Y}"
)
HOLIDAYS_URL = "https://www.nseindia.com/api/holiday-master?type=trading"


class BhavcopySettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The exchange's daily bhavcopy files as a market: no account, no login, end-of-day data."""

    reloadable: ClassVar[bool] = False

    archive_root: Annotated[
        str, Meta(pattern="^https?://", description="the exchange's archive, without a trailing path")
    ] = "https://nsearchives.nseindia.com"
    folder: Annotated[
        str,
        Meta(
            description="a folder of bhavcopy and action files to read instead of the archive; relative "
            "to this file"
        ),
    ] = ""
    actions_url: Annotated[
        str,
        Meta(
            pattern="^(https?://.*)?$",
            description="address of the corporate actions from {first} to {last}; empty: from files only",
        ),
    ] = ACTIONS_URL
    holidays_url: Annotated[
        str,
        Meta(
            pattern="^(https?://.*)?$",
            description="address of the exchange's holiday list, asked once a day; also for the market kite; "
            "empty: lists of the user only",
        ),
    ] = HOLIDAYS_URL
    adjust: Annotated[
        bool,
        Meta(description="whether prices before a split or bonus are adjusted; needs the corporate actions"),
    ] = True
    user_agent: Annotated[
        str, Meta(min_length=1, max_length=200, description="User-Agent header of the requests")
    ] = "Mozilla/5.0 (X11; Linux x86_64) vcpd"
    requests_per_s: Annotated[
        float, Meta(ge=0.01, le=1000, description="files requested per second, evenly spaced")
    ] = 2.0
    timeout_s: Annotated[
        float, Meta(gt=0, le=600, description="time limit of one download, body included")
    ] = 30.0
    max_attempts: Annotated[
        int, Meta(ge=1, le=10, description="attempts per file before the download fails")
    ] = 4
    backoff_s: Annotated[
        float, Meta(gt=0, le=60, description="pause before the second attempt; doubles with each attempt")
    ] = 1.0
    body_limit_mb: Annotated[float, Meta(gt=0, le=256, description="largest accepted file")] = 32.0
    retry_missing_min: Annotated[
        float,
        Meta(ge=0, le=1440, description="minutes before a file that was not available is requested again"),
    ] = 5.0
    gap_after_days: Annotated[
        int,
        Meta(
            ge=1,
            le=365,
            description="a session whose file is missing for longer counts as a gap in every history",
        ),
    ] = 10
    actions_max_age_h: Annotated[
        float,
        Meta(gt=0, le=168, description="hours after which the list of corporate actions is requested again"),
    ] = 6.0
    listing_window_sessions: Annotated[
        int,
        Meta(
            ge=1,
            le=250,
            description="number of newest files of which one must name a share for it to count as listed",
        ),
    ] = 10
