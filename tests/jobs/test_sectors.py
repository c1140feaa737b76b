"""Sectors: told by lists, noted with the instruments, never in the way of tonight's bars."""

from datetime import date
from pathlib import Path

import pytest

from tests.fakes.collection import FakeInstrumentStore, FakeMarket, Fate, context
from vcpd.core.errors import BadInputError, RetryableError
from vcpd.domain.exchange import NSE_EXCHANGE
from vcpd.domain.instruments import CompanySector, Instrument, StoredInstrument
from vcpd.domain.runs import Outcome
from vcpd.jobs.maintenance import SectorListFetch, SectorSource, SyncInstruments
from vcpd.jobs.settings import UniverseSettings
from vcpd.jobs.universe import Universe, list_sectors

INDEX_LIST = (
    "\ufeffCompany Name,Industry,Symbol,Series,ISIN Code\n"
    "Infosys Ltd.,Information Technology,INFY,EQ,INE009A01021\n"
    "Bajaj Auto Ltd., Automobile and Auto Components ,BAJAJ-AUTO,EQ,\n"
    "Nameless Ltd.,,NONE,EQ,\n"
)
ALL_SHARES = UniverseSettings()
LISTED = [Instrument("NSE:INFY", 1), Instrument("NSE:BAJAJ-AUTO", 2), Instrument("NSE:SBIN", 3)]


def sectors(
    folder: Path, publication: SectorListFetch | None = None, settings: UniverseSettings = ALL_SHARES
) -> SectorSource:
    universe = Universe(settings, FakeInstrumentStore(Fate()), folder, NSE_EXCHANGE)
    return SectorSource(universe, folder, publication)


async def published() -> str:
    return "Symbol,Industry\nSBIN,Banks\nINFY,Software\n"


async def away() -> str:
    raise RetryableError("away")


def test_an_index_list_states_each_members_sector() -> None:
    assert list_sectors(INDEX_LIST, "list.csv", NSE_EXCHANGE) == {
        "NSE:INFY": CompanySector("Information Technology"),
        "NSE:BAJAJ-AUTO": CompanySector("Automobile and Auto Components"),
    }
    with pytest.raises(BadInputError, match=r"list\.csv.*Industry"):
        list_sectors("Symbol\nINFY\n", "list.csv", NSE_EXCHANGE)


@pytest.mark.parametrize(
    ("header", "row", "expected"),
    [
        ("Symbol,Sector,Industry", "INFY,Technology,Software", CompanySector("Technology", "Software")),
        ("Symbol,Sector,Industry", "INFY,Technology,", CompanySector("Technology")),
        ("Symbol,Industry,Basic Industry", "INFY,Software,Banks", CompanySector("Software", "Banks")),
        ("Symbol,Sector,Industry,Basic Industry", "INFY,Tech,Software,Banks", CompanySector("Tech", "Banks")),
        ("Symbol,Sector,Industry", "INFY,,Software", None),
    ],
)  # fmt: skip
def test_a_list_may_give_sector_and_industry(header: str, row: str, expected: CompanySector | None) -> None:
    found = list_sectors(f"{header}\n{row}\n", "list.csv", NSE_EXCHANGE)
    assert found == ({} if expected is None else {"NSE:INFY": expected})


async def test_an_industry_that_only_the_market_gives_is_kept_beside_the_user_s_sector(
    tmp_path: Path,
) -> None:
    async def both() -> str:
        return "Symbol,Sector,Industry\nINFY,Technology,Software\n"

    (tmp_path / "mine.csv").write_text("Symbol,Industry\ninfy,Services\n", encoding="utf-8")
    source = sectors(tmp_path, both, UniverseSettings(sectors=("mine.csv",)))
    assert await source.current() == {"NSE:INFY": CompanySector("Services", "Software")}


async def test_member_lists_and_sector_lists_both_state_and_the_market_is_overruled(tmp_path: Path) -> None:
    (tmp_path / "nifty.csv").write_text(INDEX_LIST, encoding="utf-8")
    (tmp_path / "plain.csv").write_text("Symbol\nSBIN\n", encoding="utf-8")
    (tmp_path / "mine.csv").write_text("Symbol,Industry\ninfy,Services\n", encoding="utf-8")
    both = sectors(
        tmp_path, settings=UniverseSettings(lists=("nifty.csv", "plain.csv"), sectors=("mine.csv",))
    )
    assert (await both.current())["NSE:INFY"] == CompanySector("Services")
    reported = await sectors(tmp_path, published, UniverseSettings(lists=("nifty.csv",))).current()
    assert reported["NSE:INFY"].sector == "Information Technology"
    assert reported["NSE:SBIN"].sector == "Banks"
    assert not await sectors(tmp_path).current()


async def test_a_sector_list_adds_no_members(tmp_path: Path) -> None:
    (tmp_path / "nifty.csv").write_text(INDEX_LIST, encoding="utf-8")
    store = FakeInstrumentStore(
        Fate(), [StoredInstrument(n, instrument) for n, instrument in enumerate(LISTED)]
    )
    universe = Universe(UniverseSettings(sectors=("nifty.csv",)), store, tmp_path, NSE_EXCHANGE)
    assert len((await universe.current()).shares) == len(LISTED)


async def test_the_day_s_list_brings_the_sectors_along(tmp_path: Path) -> None:
    store = FakeInstrumentStore(Fate())
    job = SyncInstruments(FakeMarket(Fate(), {}, LISTED), store, sectors(tmp_path, published))
    result = await job(context(date(2025, 6, 30), "instruments"))
    assert (result.counts["sectors"], result.counts["sectors_changed"]) == (2, 2)
    assert [row.sector for row in store.rows] == ["Software", None, "Banks"]


async def test_sectors_that_cannot_be_had_are_reported_and_cost_nothing_else(tmp_path: Path) -> None:
    for broken in (
        sectors(tmp_path, away),
        sectors(tmp_path, settings=UniverseSettings(sectors=("none.csv",))),
    ):
        store = FakeInstrumentStore(Fate())
        result = await SyncInstruments(FakeMarket(Fate(), {}, LISTED), store, broken)(
            context(date(2025, 6, 30), "instruments")
        )
        assert result.outcome is Outcome.DONE
        assert result.reason.startswith(
            ("the sectors were not updated: ", "the market's sectors were not updated: ")
        )
        assert len(store.rows) == len(LISTED)


async def test_the_user_s_own_lists_serve_while_the_market_s_is_away(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("Symbol,Industry\ninfy,Services\n", encoding="utf-8")
    store = FakeInstrumentStore(Fate())
    source = sectors(tmp_path, away, UniverseSettings(sectors=("mine.csv",)))
    result = await SyncInstruments(FakeMarket(Fate(), {}, LISTED), store, source)(
        context(date(2025, 6, 30), "instruments")
    )
    assert [row.sector for row in store.rows] == ["Services", None, None]
    assert result.reason == "the market's sectors were not updated: away"
