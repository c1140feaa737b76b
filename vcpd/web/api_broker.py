"""API of the broker's account: what it holds, and where that differs from the stored trades."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from aiohttp import web

from vcpd.core.errors import RetryableError, UnavailableError, VcpdError
from vcpd.domain.broker_comparison import CompanyShares, LeftOutPosition, ShareDifference
from vcpd.domain.portfolio import Lot
from vcpd.web.context import WebContext
from vcpd.web.responses import HttpError, json_response
from vcpd.web.routes import route


class BrokerView(msgspec.Struct, frozen=True, kw_only=True):
    """The account at `read_at`, company by company, against the trades that are stored.

    `unknown_lots` are holdings of companies without any stored trade, at the broker's average price. What is
    no purchase of shares for delivery is in `left_out`; `notices` make a count uncertain.
    """

    read_at: datetime
    agrees: bool
    companies: Sequence[CompanyShares]
    differences: Sequence[ShareDifference]
    unknown_lots: Sequence[Lot]
    left_out: Sequence[LeftOutPosition]
    notices: Sequence[str]


def broker_routes(context: WebContext) -> list[web.RouteDef]:
    """The route that compares; it changes nothing, here or at the broker."""

    @route("GET", "/api/broker", response=BrokerView, errors=(409, 503))
    async def broker(_: web.Request) -> web.Response:
        """What the broker's account holds, and where the stored trades differ from it."""
        try:
            reading = await context.broker.compare()
        except (RetryableError, UnavailableError):
            raise
        except VcpdError as error:  # no login, or no account at all
            raise HttpError(409, str(error)) from None
        found = reading.comparison
        return json_response(
            BrokerView(
                read_at=reading.read_at,
                agrees=found.agrees,
                companies=found.companies,
                differences=found.differences,
                unknown_lots=found.unknown_lots,
                left_out=found.left_out,
                notices=found.notices,
            )
        )

    return [broker]
