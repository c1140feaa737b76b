"""The markets that vcpd brings along, as the entry points of `vcpd.markets` name them.

The configuration loads the chosen one for its exchange and its schedule; what opening a market needs is
imported when it is opened, so that commands which open none start fast.
"""

from collections.abc import Mapping
from typing import Any, Final

from vcpd.domain.exchange import NSE_EXCHANGE
from vcpd.plugins import MarketPlugin, MarketRequest
from vcpd.sandbox.settings import SIMULATED_EXCHANGE

BHAVCOPY_JOB_DEFAULTS: Final[Mapping[str, Mapping[str, Any]]] = {
    # the files are published about two hours after the close
    "calendar": {"at": "18:40, 19:50, 21:30"},
    "collect": {"at": "session_close + 150min, session_close + 210min, session_close + 300min"},
    "regime": {"at": "session_close + 330min"},
    "screen": {"at": "session_close + 330min"},
    "screen_intraday": {"enabled": False},
    "risk": {"at": "session_close + 360min"},
    "watch": {"enabled": False},  # the files hold no intraday data
}


async def _open_kite(request: MarketRequest) -> Any:
    from vcpd.app.market import open_kite  # noqa: PLC0415 - see the module's docstring

    return await open_kite(request)


async def _open_sandbox(request: MarketRequest) -> Any:
    from vcpd.app.market import open_sandbox  # noqa: PLC0415 - see the module's docstring

    return await open_sandbox(request)


async def _open_bhavcopy(request: MarketRequest) -> Any:
    from vcpd.app.market import open_bhavcopy  # noqa: PLC0415 - see the module's docstring

    return await open_bhavcopy(request)


KITE: Final = MarketPlugin(NSE_EXCHANGE, _open_kite)
SANDBOX: Final = MarketPlugin(SIMULATED_EXCHANGE, _open_sandbox)
BHAVCOPY: Final = MarketPlugin(NSE_EXCHANGE, _open_bhavcopy, job_defaults=BHAVCOPY_JOB_DEFAULTS)
