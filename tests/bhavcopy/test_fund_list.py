"""Funds by the daily report's list: where a bulletin has no ISINs, from the newest report that has one."""

from datetime import date
from pathlib import Path

import pytest

from tests.bhavcopy.clients import web_client
from tests.bhavcopy.publisher import LAST, small_market
from tests.bhavcopy.real_archive import HEADER, members_zip
from tests.bhavcopy.web import serving
from vcpd.bhavcopy.archive import report_file
from vcpd.domain.nse_calendar import NSE

BEFORE = NSE.previous(LAST)
FUNDS = "MARKET,SERIES,SYMBOL,SECURITY\nN,EQ,BETA,SOME HOUSE - BETA\nN,EQ,NIFTY 50,NO FUND BUT AN INDEX\n"


def report(day: date, funds: str | None) -> dict[str, bytes]:
    """The daily report of a session; without `funds` that member is missing."""
    members = {f"Bc{day:%d%m%y}.csv": HEADER}
    if funds is not None:
        members[f"etf{day:%d%m%y}.csv"] = funds
    return {report_file(day).path: members_zip(members)}


@pytest.mark.parametrize(
    "reports",
    [
        report(LAST, FUNDS),
        report(BEFORE, FUNDS),  # that of the evening is not there yet
        report(LAST, None) | report(BEFORE, FUNDS),
        report(LAST, "A,B\n1,2\n") | report(BEFORE, FUNDS),
        {report_file(LAST).path: b"PK\x03\x04nothing"} | report(BEFORE, FUNDS),
    ],
)
async def test_the_newest_usable_list_names_the_funds(reports: dict[str, bytes], tmp_path: Path) -> None:
    files = dict(small_market().files()) | reports
    async with serving(files) as server, web_client(server.root, tmp_path) as market:
        listed = {instrument.symbol: instrument for instrument in await market.instruments()}
        requested = len(server.requested)
        await market.instruments()
        assert len(server.requested) == requested
    assert {symbol for symbol, instrument in listed.items() if instrument.is_fund} == {"NSE:BETA"}


async def test_without_any_report_nothing_is_called_a_fund(tmp_path: Path) -> None:
    async with serving(dict(small_market().files())) as server, web_client(server.root, tmp_path) as market:
        assert not any(instrument.is_fund for instrument in await market.instruments())
