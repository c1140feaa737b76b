"""Settings of the sandbox: market, faults, rate limits, live feed."""

from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated, ClassVar, Final, Self

import msgspec
from msgspec import Meta

from vcpd.domain.calendar import SpecialSession, TradingCalendar
from vcpd.domain.exchange import NSE_EXCHANGE, Exchange

SIMULATED_EXCHANGE: Final[Exchange] = NSE_EXCHANGE  # its hours, ticks and symbols are simulated
DEFAULT_FAULT_PATHS: Final = ("/instruments", "/quote", "/user")


class FaultKind(StrEnum):
    """The ways in which an answer goes wrong, each as real exchanges and networks do it."""

    DROP = "drop"
    TOO_MANY = "too_many"
    SERVER_ERROR = "server_error"
    BAD_GATEWAY = "bad_gateway"
    UNAVAILABLE = "unavailable"
    HANG = "hang"
    DRIP = "drip"
    TRUNCATED_GZIP = "truncated_gzip"
    HTML = "html"
    MISSING_KEY = "missing_key"
    OTHER_TYPE = "other_type"
    TOKEN_EXPIRY = "token_expiry"  # noqa: S105 - the name of a fault


class TickerFault(StrEnum):
    """The ways in which the live feed goes wrong, frame by frame, heartbeats included."""

    MUTE = "mute"
    GARBAGE = "garbage"
    CLOSE = "close"
    SLOW = "slow"


class FaultSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Injected faults; also the JSON that a running sandbox accepts at /sandbox/faults."""

    rate: Annotated[float, Meta(ge=0, le=1, description="Share of requests that get a fault; 0 is none.")] = (
        0.0
    )
    seed: Annotated[int, Meta(ge=0, description="Which requests are hit depends on this number only.")] = 1
    kinds: Annotated[
        tuple[FaultKind, ...], Meta(description="Kinds of fault to choose from; empty is all.")
    ] = ()
    paths: Annotated[
        tuple[str, ...], Meta(description="Only requests whose path begins with one of these are hit.")
    ] = DEFAULT_FAULT_PATHS
    hang_s: Annotated[
        float, Meta(gt=0, le=3600, description="Wall-clock seconds that a hanging request stays unanswered.")
    ] = 30.0
    drip_s: Annotated[
        float, Meta(gt=0, le=3600, description="Wall-clock seconds over which a dripping response is spread.")
    ] = 5.0
    ticker: Annotated[
        tuple[TickerFault, ...],
        Meta(description="Faults of the live feed: mute, garbage, close, slow; empty is none."),
    ] = ()
    ticker_rate: Annotated[
        float, Meta(ge=0, le=1, description="Share of the live feed's frames that get a fault.")
    ] = 1.0
    ticker_times: Annotated[
        int, Meta(ge=0, description="Faulty frames after which the live feed works again; 0 is never.")
    ] = 0
    slow_s: Annotated[
        float,
        Meta(gt=0, le=3600, description="Wall-clock seconds by which a slow frame of the live feed is late."),
    ] = 5.0
    hidden_symbols: Annotated[
        tuple[str, ...], Meta(description="Symbols, NSE:NAME, that the exchange hides from now on.")
    ] = ()
    locked_symbols: Annotated[
        tuple[str, ...],
        Meta(description="Symbols, NSE:NAME, whose quotes are at the upper circuit without sellers."),
    ] = ()
    split_ratios: Annotated[
        dict[str, Annotated[float, Meta(gt=0)]],
        Meta(description="Split ratio by symbol: all its prices are divided by it from now on."),
    ] = {}


class RateSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Requests that a client may send per second of wall-clock time; more are answered with 429."""

    quote_per_s: Annotated[int, Meta(ge=1, le=100_000, description="Quotes a second (Kite: 1).")] = 1
    historical_per_s: Annotated[
        int, Meta(ge=1, le=100_000, description="Historical candle requests a second (Kite: 3).")
    ] = 3
    other_per_s: Annotated[
        int, Meta(ge=1, le=100_000, description="Any other request a second (Kite: 10).")
    ] = 10
    all_gets_per_s: Annotated[
        int, Meta(ge=1, le=100_000, description="GET requests of every kind together a second (Kite: 10).")
    ] = 10


class SandboxTickerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The live feed; its seconds are wall-clock seconds, whatever the market's clock does."""

    interval_s: Annotated[
        float, Meta(ge=0.01, le=60, description="Seconds between two frames of changed prices.")
    ] = 1.0
    heartbeat_s: Annotated[
        float, Meta(ge=0.01, le=60, description="Seconds without a frame after which a heartbeat is sent.")
    ] = 2.0
    connections: Annotated[int, Meta(ge=1, le=1000, description="Concurrent connections (Kite: 3).")] = 3
    instruments: Annotated[
        int, Meta(ge=1, le=30_000, description="Instruments per connection (Kite: 3000).")
    ] = 3000


class SandboxSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The simulated exchange on localhost, and its market."""

    reloadable: ClassVar[bool] = False

    symbols: Annotated[int, Meta(ge=1, le=10_000, description="Equities of the simulated market.")] = 200
    seed: Annotated[int, Meta(ge=0, description="The simulated market depends on this number only.")] = 1
    years: Annotated[
        int, Meta(ge=1, le=10, description="Whole calendar years of history before the current one.")
    ] = 5
    noise: Annotated[
        float,
        Meta(ge=0, le=5, description="Noise of the known bases; 0 is none, 1 is like real prices."),
    ] = 1.0
    leader_share: Annotated[
        float,
        Meta(
            ge=0, le=0.5, description="Share of symbols that are leaders, which build one base after another."
        ),
    ] = 0.3
    recent_listing_share: Annotated[
        float, Meta(ge=0, le=0.5, description="Share of symbols that were listed within the last two years.")
    ] = 0.04
    suspended_share: Annotated[
        float, Meta(ge=0, le=0.5, description="Share of symbols whose trading is suspended now and then.")
    ] = 0.03
    bars: Annotated[
        str | None,
        Meta(
            description="A file or folder of bars to show, not the simulated market; relative to this file."
        ),
    ] = None
    index: Annotated[
        str | None,
        Meta(description="A file with the bars of the indices, beside `bars`; relative to this file."),
    ] = None
    closed_days: Annotated[
        tuple[date, ...],
        Meta(description="Days on which it does not trade although the calendar has sessions."),
    ] = ()
    extra_sessions: Annotated[
        tuple[date, ...],
        Meta(description="Days on which it trades although the calendar has none, at the usual hours."),
    ] = ()
    port: Annotated[int, Meta(ge=0, le=65_535, description="Port on 127.0.0.1; 0 takes a free one.")] = 0
    api_key: Annotated[str, Meta(min_length=1, description="The key that clients of this exchange use.")] = (
        "sandboxkey"
    )
    api_secret: Annotated[
        str,
        Meta(min_length=1, description="The secret that clients sign with; published, it protects nothing."),
    ] = "sandboxsecret"  # noqa: S105 - published, the simulated account holds nothing
    redirect_url: Annotated[
        str, Meta(min_length=1, description="Where the login page sends the browser with the request token.")
    ] = "http://127.0.0.1:8787/kite/callback"
    automatic_login: Annotated[
        bool, Meta(description="The login page redirects at once instead of waiting for the button.")
    ] = True
    real_limits: Annotated[
        bool,
        Meta(
            description="Whether the daemon asks its own simulated exchange no faster than Kite allows. "
            "If not, and nothing is set in [limits] and [sandbox.limits], it asks up to 500 times a second."
        ),
    ] = False
    limits: RateSettings = RateSettings()
    ticker: SandboxTickerSettings = SandboxTickerSettings()
    faults: FaultSettings = FaultSettings()

    def calendar(self) -> TradingCalendar:
        """The simulated exchange's own sessions. BadInputError for a day that is given as both."""
        built_in = SIMULATED_EXCHANGE.calendar
        closed = dict.fromkeys(self.closed_days, "closed in the simulation")
        return built_in.extended(closed, [_usual_session(built_in, day) for day in self.extra_sessions])

    def below(self, folder: Path) -> Self:
        """The same with absolute paths: relative ones lie below `folder`, that of the configuration file."""
        return msgspec.structs.replace(
            self, bars=_absolute(folder, self.bars), index=_absolute(folder, self.index)
        )


def _usual_session(calendar: TradingCalendar, day: date) -> SpecialSession:
    hours = calendar.hours_on(day)
    return SpecialSession(day, hours.opens, hours.closes, "session of the simulation")


def _absolute(folder: Path, path: str | None) -> str | None:
    return str((folder / path).resolve()) if path else path
