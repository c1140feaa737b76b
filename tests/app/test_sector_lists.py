"""Sectors by themselves: from the archive's index lists, or from a folder of the user's files."""

from pathlib import Path

import aiohttp
import pytest

from tests.bhavcopy.web import answer, serving
from tests.fakes.collection import FakeInstrumentStore, Fate
from vcpd.app.market import MarketConnection
from vcpd.bhavcopy.client import NoLoginSession
from vcpd.domain.exchange import NSE_EXCHANGE
from vcpd.domain.instruments import CompanySector
from vcpd.jobs.settings import UniverseSettings
from vcpd.jobs.universe import Universe

INDEX_LIST = b"Company Name,Industry,Symbol,Series,ISIN Code\nInfosys Ltd.,Software,INFY,EQ,INE009A01021\n"
NAMES = ("wide.csv", "narrow.csv")


async def sectors_of(places: tuple[str, ...], folder: Path) -> tuple[dict[str, CompanySector], str]:
    """The sectors of a market with these lists, and why its list was not there."""
    universe = Universe(UniverseSettings(), FakeInstrumentStore(Fate()), folder, NSE_EXCHANGE)
    async with aiohttp.ClientSession() as http:
        market = MarketConnection(object(), NoLoginSession(), http, sector_lists=places)  # type: ignore[arg-type]
        source = market.sector_source(universe, folder)
        return dict(await source.current()), source.problem


async def test_the_widest_list_that_the_archive_has_gives_the_sectors(tmp_path: Path) -> None:
    async with serving({"narrow.csv": INDEX_LIST}) as server:
        found, problem = await sectors_of(tuple(f"{server.root}/{name}" for name in NAMES), tmp_path)
    assert (found, problem) == ({"NSE:INFY": CompanySector("Software")}, "")


async def test_an_archive_that_refuses_is_named(tmp_path: Path) -> None:
    async with serving({}) as server:
        server.faults = {name: [answer(403)] for name in NAMES}
        found, problem = await sectors_of(tuple(f"{server.root}/{name}" for name in NAMES), tmp_path)
    assert found == {}
    assert problem.startswith("the market's sectors were not updated: ")
    assert "403" in problem


@pytest.mark.parametrize(
    ("present", "expected"), [(True, {"NSE:INFY": CompanySector("Software")}), (False, {})]
)
async def test_a_folder_gives_what_it_holds_and_nothing_is_said_of_lists_it_lacks(
    tmp_path: Path, expected: dict[str, CompanySector], *, present: bool
) -> None:
    if present:
        (tmp_path / "narrow.csv").write_bytes(INDEX_LIST)
    found, problem = await sectors_of(tuple(str(tmp_path / name) for name in NAMES), tmp_path)
    assert (found, problem) == (expected, "")
