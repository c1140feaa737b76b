"""An explanation over the port projects volume to the end of the share's own session."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from tests.fakes.clock import FakeClock
from vcpd.analysis.thresholds import Thresholds
from vcpd.app.status import StatusService
from vcpd.domain.instruments import Instrument
from vcpd.domain.nse_calendar import NSE
from vcpd.domain.setups import Setup

DAY = date(2026, 8, 3)
SYMBOL = "NSE:INFY"
CLOSE = datetime(2026, 8, 3, 15, 30, tzinfo=NSE.zone).astimezone(UTC)


def _service(instruments: Mapping[str, Instrument], shares: list[float]) -> StatusService:
    """A service over a panel that notes the elapsed share of the session it is asked with."""

    async def explain(*_: Any, elapsed: Callable[[date], float]) -> tuple[Setup, list[str]]:
        shares.append(elapsed(DAY))
        return Setup.unevaluated(SYMBOL, DAY, "not evaluated here"), []

    async def stored(symbols: Sequence[str]) -> Mapping[str, Instrument]:
        return {symbol: instruments[symbol] for symbol in symbols if symbol in instruments}

    async def nothing(*_: Any) -> tuple[None, None]:
        return None, None

    parts: dict[str, Any] = dict.fromkeys(StatusService.__init__.__annotations__)
    del parts["return"]
    parts["clock"] = FakeClock(CLOSE)
    parts["live"] = SimpleNamespace(configuration=SimpleNamespace(screen=Thresholds()), calendar=NSE)
    parts["current_panel"] = SimpleNamespace(explain=explain)
    parts["storage"] = SimpleNamespace(
        watch=SimpleNamespace(instruments=stored),
        regimes=SimpleNamespace(market_context=nothing),
        setups=SimpleNamespace(for_symbol=nothing),
    )
    return StatusService(**parts)


@pytest.mark.parametrize(
    ("instruments", "share"),
    [
        ([Instrument(SYMBOL, 1, has_futures=False)], 1.0),
        ([Instrument(SYMBOL, 1, has_futures=True)], 375 / 380),
        ([Instrument(SYMBOL, 1)], 375 / 380),  # the market does not say
        ([], 375 / 380),
    ],
)
async def test_at_half_past_three_only_a_share_without_futures_has_all_its_volume(
    instruments: list[Instrument], share: float
) -> None:
    shares: list[float] = []
    service = _service({instrument.symbol: instrument for instrument in instruments}, shares)
    setup, _ = await service.explain(SYMBOL, None)
    assert shares == [pytest.approx(share)]
    assert setup.symbol == SYMBOL
