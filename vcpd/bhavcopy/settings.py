"""Settings of the bhavcopy adapter: sources, request rate, retries, ageing of files."""

from typing import Annotated

from msgspec import Meta, Struct

ACTIONS_URL = (
    "https://www.nseindia.com/api/corporates-corporateActions"
    "?index=equities&from_date={first:%d-%m-%Y}&to_date={last:%d-%m-%Y}"
)


class BhavcopySettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The exchange's daily bulletins as a market: no account, no login, the evening's data."""

    archive_root: Annotated[
        str, Meta(pattern="^https?://", description="the exchange's archive, without a trailing path")
    ] = "https://nsearchives.nseindia.com"
    folder: Annotated[
        str,
        Meta(
            description="a folder of bulletins and action lists to use instead of the archive; relative "
            "to this file"
        ),
    ] = ""
    actions_url: Annotated[
        str,
        Meta(
            pattern="^(https?://.*)?$",
            description="where corporate actions are listed from {first} to {last}; empty: in files only",
        ),
    ] = ACTIONS_URL
    adjust: Annotated[
        bool, Meta(description="whether prices before a split or bonus are divided; needs the action lists")
    ] = True
    user_agent: Annotated[
        str, Meta(min_length=1, max_length=200, description="how requests introduce themselves")
    ] = "Mozilla/5.0 (X11; Linux x86_64) vcpd"
    requests_per_s: Annotated[
        float, Meta(ge=0.01, le=1000, description="files asked for in a second, evenly spaced")
    ] = 2.0
    timeout_s: Annotated[
        float, Meta(gt=0, le=600, description="longest time one file may take, its last byte included")
    ] = 30.0
    tries: Annotated[
        int, Meta(ge=1, le=10, description="how often one file is asked for before it is given up")
    ] = 4
    backoff_s: Annotated[
        float, Meta(gt=0, le=60, description="pause before the second try; doubles from try to try")
    ] = 1.0
    body_limit_mb: Annotated[float, Meta(gt=0, le=256, description="largest file that is read")] = 32.0
    ask_again_min: Annotated[
        float,
        Meta(ge=0, le=1440, description="minutes before a bulletin that was not there is asked for again"),
    ] = 5.0
    missing_after_days: Annotated[
        int,
        Meta(
            ge=1,
            le=365,
            description="a session whose bulletin is missing for longer counts as a hole in every history",
        ),
    ] = 10
    actions_age_h: Annotated[
        float,
        Meta(gt=0, le=168, description="hours after which the list of corporate actions is asked again"),
    ] = 6.0
    listed_sessions: Annotated[
        int,
        Meta(
            ge=1, le=250, description="a share counts as listed while one of so many last bulletins names it"
        ),
    ] = 10
