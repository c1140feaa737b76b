"""What the exchange sends is what the market's door understands."""

import math
from datetime import date

from tests.sandbox.clients import WIDE, sandbox_client
from tests.sandbox.conftest import SETTINGS, Start
from vcpd.kite.instrument_wire import decode_instruments, decode_underlyings
from vcpd.kite.wire import decode_daily_bars, decode_profile, decode_quotes


async def test_the_client_decodes_every_answer(start: Start) -> None:
    """Instruments, candles, quotes and the profile of the sandbox pass through the door's own decoding."""
    async with sandbox_client((await start(limits=WIDE)).url) as kite:
        instruments = decode_instruments(
            (await kite.get("/instruments/NSE", **{"Accept-Encoding": "gzip"}))[1], "NSE", 0.05
        )
        plain = [
            instrument for instrument in instruments if instrument.series == "EQ" and not instrument.is_index
        ]
        assert len(plain) == SETTINGS.symbols
        assert {instrument.symbol for instrument in instruments if instrument.is_index} == {
            "NSE:NIFTY 50",
            "NSE:NIFTY 500",
        }
        first = plain[0]
        path = f"/instruments/historical/{first.token}/day?from=2025-07-01&to=2026-07-15"
        bars = decode_daily_bars((await kite.get(path))[1], first.symbol)
        assert bars.last_session == date(2026, 7, 15)
        quote = decode_quotes((await kite.get(f"/quote?i={first.symbol}"))[1])[first.symbol]
        assert quote.last_price == bars.close[-1]
        assert quote.previous_close == bars.close[-2]
        assert not math.isnan(quote.volume)
        assert decode_profile((await kite.get("/user/profile"))[1])


async def test_about_a_fifth_of_the_shares_has_futures(start: Start) -> None:
    """The list of derivatives names its own shares, and no index."""
    async with sandbox_client((await start(limits=WIDE)).url) as kite:
        underlyings = decode_underlyings((await kite.get("/instruments/NFO"))[1])
        listed = decode_instruments((await kite.get("/instruments/NSE"))[1], "NSE", 0.05, underlyings)
    known = [instrument.has_futures for instrument in listed if not instrument.is_index]
    assert 0 < known.count(True) < known.count(False)
    assert None not in known
    assert {instrument.has_futures for instrument in listed if instrument.is_index} == {None}
