"""Settings of the Kite adapter: addresses, timeouts, retries, rate limits, live feed."""

from typing import Annotated, ClassVar, Final
from urllib.parse import urlsplit

from msgspec import Meta, Struct

LOOPBACK_HOSTS: Final = frozenset({"127.0.0.1", "::1", "localhost"})
PLAIN_SCHEMES: Final = frozenset({"http", "ws"})
_Rate = Annotated[float, Meta(ge=0.1, le=1000)]


class KiteSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The account's API key and the addresses. The API secret is never a setting."""

    reloadable: ClassVar[bool] = False

    api_key: Annotated[
        str, Meta(max_length=64, pattern="^[A-Za-z0-9_-]*$", description="the app's public API key")
    ] = ""
    api_root: Annotated[str, Meta(pattern="^https?://", description="base URL of the API")] = (
        "https://api.kite.trade"
    )
    login_root: Annotated[str, Meta(pattern="^https?://", description="address of the login page")] = (
        "https://kite.zerodha.com/connect/login"
    )
    ticker_root: Annotated[str, Meta(pattern="^wss?://", description="address of the live feed")] = (
        "wss://ws.kite.trade"
    )
    connect_timeout_s: Annotated[
        float, Meta(gt=0, le=120, description="time limit to connect, name resolution and TLS included")
    ] = 8.0
    timeout_s: Annotated[
        float, Meta(gt=0, le=600, description="time limit of one response, body included")
    ] = 25.0
    max_attempts: Annotated[int, Meta(ge=1, le=10, description="attempts per request before it fails")] = 5
    backoff_s: Annotated[
        float, Meta(gt=0, le=60, description="pause before the second attempt; doubles with each attempt")
    ] = 0.5
    backoff_max_s: Annotated[float, Meta(gt=0, le=600, description="longest pause between two attempts")] = (
        20.0
    )
    retry_after_max_s: Annotated[
        float,
        Meta(ge=0, le=3600, description="a Retry-After longer than this fails the request"),
    ] = 60.0
    body_limit_mb: Annotated[float, Meta(gt=0, le=256, description="largest accepted response body")] = 32.0

    def __post_init__(self) -> None:
        """ValueError for an address to which the token would travel unencrypted."""
        for name in ("api_root", "ticker_root"):
            address = urlsplit(getattr(self, name))
            if address.scheme in PLAIN_SCHEMES and address.hostname not in LOOPBACK_HOSTS:
                raise ValueError(f"{name}: expected {address.scheme}s, plain only on this machine")


class LimitSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The market's limits in requests per second; changes hold from the next request on."""

    reloadable: ClassVar[bool] = True

    quote_per_s: Annotated[_Rate, Meta(description="quote requests (/quote, /quote/ohlc, /quote/ltp)")] = 1.0
    historical_per_s: Annotated[_Rate, Meta(description="historical candle requests")] = 3.0
    other_per_s: Annotated[_Rate, Meta(description="all other requests")] = 10.0
    all_gets_per_s: Annotated[_Rate, Meta(description="all GET requests of the API key together")] = 10.0
    margin_pct: Annotated[
        float, Meta(ge=0, le=50, description="safety margin added to the spacing of requests")
    ] = 1.0
    late_arrival_pct: Annotated[
        float,
        Meta(
            ge=0, le=50, description="share of the rate reserved for requests that arrive late at the market"
        ),
    ] = 1.0


class TickerSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Connections of the live feed; changes hold from the next connection on, `stale_after_s` at once."""

    reloadable: ClassVar[bool] = True

    connect_timeout_s: Annotated[
        float, Meta(gt=0, le=60, description="time limit to open a connection to the live feed")
    ] = 8.0
    stale_after_s: Annotated[
        float,
        Meta(ge=2, le=15, description="a connection without a frame or heartbeat for this long is reopened"),
    ] = 8.0
    backoff_s: Annotated[
        float, Meta(gt=0, le=60, description="pause before reconnecting; doubles with each attempt")
    ] = 1.0
    backoff_max_s: Annotated[float, Meta(gt=0, le=600, description="longest pause between two attempts")] = (
        30.0
    )
