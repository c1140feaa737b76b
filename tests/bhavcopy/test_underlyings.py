"""Which shares have futures: from the list of market lots, unknown where there is none."""

from pathlib import Path

import pytest

from tests.bhavcopy.clients import folder_client, web_client
from tests.bhavcopy.publisher import LAST, small_market
from tests.bhavcopy.web import serving
from vcpd.bhavcopy.archive import MARKET_LOTS_NAME, market_lots_file
from vcpd.bhavcopy.client import BhavcopyClient
from vcpd.bhavcopy.symbol_lists import read_market_lots
from vcpd.core.errors import BadInputError

MARKET_LOTS = (
    "UNDERLYING                          ,SYMBOL    ,AUG-24     ,SEP-24     \n"
    "NIFTY 50                            ,NIFTY     ,25         ,25         \n"
    "Derivatives on Individual Securities,Symbol    ,           ,           \n"
    "ALPHA LIMITED                       ,ALPHA     ,400        ,400        \n"
    "BAJAJ AUTO LTD                      ,BAJAJ-AUTO,75         ,75         \n"
)


async def futures_of(market: BhavcopyClient) -> dict[str, bool | None]:
    return {instrument.symbol: instrument.has_futures for instrument in await market.instruments()}


async def test_shares_of_the_list_have_futures_and_an_index_stays_unknown(tmp_path: Path) -> None:
    path = market_lots_file(LAST).path
    files = dict(small_market().files()) | {path: MARKET_LOTS.encode()}
    async with serving(files) as server, web_client(server.root, tmp_path) as market:
        known = await futures_of(market)
        assert await futures_of(market) == known
        assert server.requested.count(path) == 1
    assert (known["NSE:ALPHA"], known["NSE:BAJAJ-AUTO"], known["NSE:BETA"]) == (True, True, False)
    assert known["NSE:NIFTY 50"] is None


@pytest.mark.parametrize("body", [None, b"UNDERLYING,LOT\nALPHA LIMITED,400\n", b"<html>"])
async def test_without_a_usable_list_it_is_unknown(body: bytes | None, tmp_path: Path) -> None:
    files = dict(small_market().files()) | ({} if body is None else {market_lots_file(LAST).path: body})
    async with serving(files) as server, web_client(server.root, tmp_path) as market:
        assert set((await futures_of(market)).values()) == {None}


async def test_a_folder_of_the_user_may_hold_the_list_under_its_own_name(tmp_path: Path) -> None:
    folder = small_market().publish(tmp_path / "files")
    (folder / MARKET_LOTS_NAME).write_text(MARKET_LOTS, encoding="ascii")
    async with folder_client(folder, tmp_path / "state") as market:
        assert (await futures_of(market))["NSE:ALPHA"] is True


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("UNDERLYING,LOT\nA,1\n", r"list.csv, row 1: expected a column SYMBOL"),
        ("UNDERLYING,SYMBOL\nDerivatives,Symbol\n", r"list.csv: expected a row for each underlying"),
    ],
)
def test_another_file_is_refused_by_name(text: str, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(text, encoding="ascii")
    with pytest.raises(BadInputError, match=expected):
        read_market_lots(path)
