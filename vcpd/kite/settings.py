"""Settings of the Kite adapter: addresses, timeouts, retries, rate limits, live feed."""

from typing import Annotated, Final
from urllib.parse import urlsplit

from msgspec import Meta, Struct

LOOPBACK_HOSTS: Final = frozenset({"127.0.0.1", "::1", "localhost"})
PLAIN_SCHEMES: Final = frozenset({"http", "ws"})
_Rate = Annotated[float, Meta(ge=0.1, le=1000)]


class KiteSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The account's public half and the addresses. The API secret is never a setting."""

    api_key: Annotated[
        str, Meta(max_length=64, pattern="^[A-Za-z0-9_-]*$", description="the app's public API key")
    ] = ""
    api_root: Annotated[
        str, Meta(pattern="^https?://", description="where requests go, without a trailing path")
    ] = "https://api.kite.trade"
    login_root: Annotated[
        str, Meta(pattern="^https?://", description="the page on which the owner logs in")
    ] = "https://kite.zerodha.com/connect/login"
    ticker_root: Annotated[str, Meta(pattern="^wss?://", description="where live prices come from")] = (
        "wss://ws.kite.trade"
    )
    redirect_url: Annotated[
        str,
        Meta(pattern="^https?://", description="the redirect URL as registered with the app"),
    ] = "http://127.0.0.1:8787/kite/callback"
    connect_timeout_s: Annotated[
        float, Meta(gt=0, le=120, description="longest time to reach the market, name and TLS included")
    ] = 8.0
    timeout_s: Annotated[
        float, Meta(gt=0, le=600, description="longest time one answer may take, its last byte included")
    ] = 25.0
    tries: Annotated[
        int, Meta(ge=1, le=10, description="how often one request is sent before it is given up")
    ] = 5
    backoff_s: Annotated[
        float, Meta(gt=0, le=60, description="pause before the second try; doubles from try to try")
    ] = 0.5
    backoff_max_s: Annotated[float, Meta(gt=0, le=600, description="longest pause between two tries")] = 20.0
    retry_after_max_s: Annotated[
        float,
        Meta(ge=0, le=3600, description="a longer wait asked by the market ends the request instead"),
    ] = 60.0
    body_limit_mb: Annotated[float, Meta(gt=0, le=256, description="largest answer that is read")] = 32.0

    def __post_init__(self) -> None:
        """ValueError for an address to which the token would travel unencrypted."""
        for name in ("api_root", "ticker_root"):
            address = urlsplit(getattr(self, name))
            if address.scheme in PLAIN_SCHEMES and address.hostname not in LOOPBACK_HOSTS:
                raise ValueError(f"{name}: expected {address.scheme}s, plain only on this machine")


class LimitSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The exchange's limits in requests a second; changes hold from the next request on."""

    quote_per_s: Annotated[_Rate, Meta(description="requests to /quote and its kin")] = 1.0
    historical_per_s: Annotated[_Rate, Meta(description="requests for candles")] = 3.0
    other_per_s: Annotated[_Rate, Meta(description="requests to everything else")] = 10.0
    all_gets_per_s: Annotated[_Rate, Meta(description="all GET requests of the key together")] = 10.0
    margin_pct: Annotated[
        float, Meta(ge=0, le=50, description="how much wider than the limit requests are spaced")
    ] = 1.0
    lateness_pct: Annotated[
        float,
        Meta(ge=0, le=50, description="share of the rate that may be given up for late arrivals"),
    ] = 1.0


class TickerSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The live feed's lines; changes hold from the next connection on, the mute limit at once."""

    connect_timeout_s: Annotated[
        float, Meta(gt=0, le=60, description="longest time to open a line to the live feed")
    ] = 8.0
    mute_after_s: Annotated[
        float,
        Meta(ge=2, le=15, description="a line without a frame or heartbeat for so long is opened anew"),
    ] = 8.0
    backoff_s: Annotated[
        float, Meta(gt=0, le=60, description="pause before a line is opened again; doubles from try to try")
    ] = 1.0
    backoff_max_s: Annotated[float, Meta(gt=0, le=600, description="longest pause between two tries")] = 30.0
