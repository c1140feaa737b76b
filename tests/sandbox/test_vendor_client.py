"""The vendor's own client, unmodified, works against the exchange."""

import asyncio
from datetime import datetime
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from kiteconnect import KiteConnect
from kiteconnect.exceptions import InputException, TokenException

from tests.sandbox.conftest import SETTINGS, Start
from vcpd.sandbox.settings import RateSettings


def logged_in(url: str) -> KiteConnect:
    """The vendor's client after a login by its own steps."""
    kite = KiteConnect(SETTINGS.api_key, root=url)
    kite._default_login_uri = f"{url}/connect/login"
    redirect = requests.get(kite.login_url(), allow_redirects=False, timeout=5)
    token = parse_qs(urlsplit(redirect.headers["Location"]).query)["request_token"][0]
    session = kite.generate_session(token, SETTINGS.api_secret)
    assert isinstance(session["login_time"], datetime)
    return kite


async def test_everything_vcpd_needs_works_with_the_vendors_client(start: Start) -> None:
    """Login, profile, instruments, candles, three kinds of quote and logout by `kiteconnect` itself."""
    sandbox = await start()

    def use() -> None:
        kite = logged_in(sandbox.url)
        assert kite.profile()["user_id"] == "SB0001"
        listed = kite.instruments("NSE")
        equities = [row for row in listed if row["segment"] == "NSE" and "-" not in row["tradingsymbol"]]
        assert len(equities) == SETTINGS.symbols
        first = equities[0]
        symbol = f"NSE:{first['tradingsymbol']}"
        bars = kite.historical_data(
            first["instrument_token"], "2026-07-01", "2026-07-15 23:59:59", "day", oi=True
        )
        assert [bar["date"].date().isoformat() for bar in bars][-2:] == ["2026-07-14", "2026-07-15"]
        assert bars[0]["oi"] == 0
        minutes = kite.historical_data(
            first["instrument_token"], "2026-07-15 09:15:00", "2026-07-15 15:30:00", "minute"
        )
        assert len(minutes) == 375
        assert sum(bar["volume"] for bar in minutes) == bars[-1]["volume"]
        quote = kite.quote(symbol)[symbol]
        assert quote["instrument_token"] == first["instrument_token"]
        assert quote["last_price"] == bars[-1]["close"]
        assert quote["volume"] == bars[-1]["volume"]
        assert quote["timestamp"] == datetime(2026, 7, 15, 15, 30)  # noqa: DTZ001 - the client's own type

    await asyncio.to_thread(use)


async def test_short_quotes_and_logout_with_the_vendors_client(start: Start) -> None:
    """The running session's prices agree between /quote/ohlc and /quote/ltp; after logout nothing works."""
    sandbox = await start(limits=RateSettings(quote_per_s=100, other_per_s=100))

    def use() -> None:
        kite = logged_in(sandbox.url)
        ohlc = kite.ohlc(["NSE:NIFTY 50", "NSE:NOBODY"])
        ltp = kite.ltp("NSE:NIFTY 50")
        assert list(ohlc) == ["NSE:NIFTY 50"]
        assert ohlc["NSE:NIFTY 50"]["last_price"] == ltp["NSE:NIFTY 50"]["last_price"]
        assert kite.invalidate_access_token() is True
        with pytest.raises(TokenException):
            kite.profile()

    await asyncio.to_thread(use)


async def test_the_vendors_client_sees_its_own_exceptions(start: Start) -> None:
    """Wrong tokens, dates and keys arrive as the exception classes that the vendor's client knows."""
    sandbox = await start()

    def use() -> None:
        kite = logged_in(sandbox.url)
        with pytest.raises(InputException, match="invalid token"):
            kite.historical_data(1, "2026-07-01", "2026-07-02", "day")
        with pytest.raises(InputException, match="2000 days"):
            kite.historical_data(1, "2010-07-01", "2026-07-02", "day")
        kite.set_access_token("stale")
        with pytest.raises(TokenException):
            kite.profile()

    await asyncio.to_thread(use)
