"""Facts beside the bars: delivery, market value, band hits, results and measures, where files have them."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from tests.bhavcopy.clients import folder_client, web_client
from tests.bhavcopy.publisher import LAST, small_market
from tests.bhavcopy.real_archive import HEADER, members_zip
from tests.bhavcopy.web import serving
from tests.real_data import real_data
from vcpd.bhavcopy.archive import (
    full_file,
    price_band_file,
    report_file,
    series_change_file,
    surveillance_file,
)
from vcpd.bhavcopy.published_facts import read_delivery, read_price_bands, read_surveillance
from vcpd.bhavcopy.series_changes import read_series_changes
from vcpd.core.errors import BadInputError
from vcpd.domain.facts import BandHit, SymbolFacts

MEASURES = (
    "ScripCode,Symbol,Nse Exclusive,Status,Series,GSM,"
    "Long_Term_Additional_Surveillance_Measure (Long Term ASM),Unsolicited_SMS,"
    "Short_Term_Additional_Surveillance_Measure (Short Term ASM),ESM\n"
    "NA,ALPHA,N,A,EQ,100,2,100,100,100\n"
    "NA,BETA,N,A,EQ,0,100,100,1,\n"
    "NA,GAMMA,N,A,EQ,100,100,100,100,100\n"
)
FULL_BHAVCOPY = (
    "SYMBOL, SERIES, DATE1, DELIV_QTY, DELIV_PER\n"
    "ALPHA, EQ, 30-Aug-2024, 100, 49.48\n"
    "BETA, EQ, 30-Aug-2024, -, -\n"
    "ALPHA, N1, 30-Aug-2024, 100, 99.00\n"
)
REPORT = members_zip(
    {
        "Bc300824.csv": HEADER,
        "Bh300824.csv": "SYMBOL,SERIES,SECURITY,HIGH/LOW\nALPHA,EQ,A,H\nGAMMA,EQ,G,L\n",
        "Bm300824.txt": (
            "COMPANY NAME    SYMBOL     : BM DATE    : BM PURPOSE\n"
            "Alpha Limited ALPHA : 12-SEP-2024 : Financial Results To consider the results\n"
            "Gamma Limited GAMMA : 30-AUG-2024 : Outcome of Board Meeting about results\n"
        ),
        "mcap300824.csv": (
            "Trade Date,Symbol,Series,Face Value(Rs.),Market Cap(Rs.)\n"
            "30 AUG 2024,ALPHA,EQ,10.00,5000000000.00\n"
        ),
    }
)
PRICE_BANDS = (
    "Symbol,Series,Security Name,Band,Remarks\n"
    "ALPHA,N1,ALPHA BOND,20,-\n"
    "ALPHA,EQ,ALPHA LIMITED,5,-\n"
    "BETA,EQ,BETA LIMITED,No Band,-\n"
    "GAMMA,EQ,GAMMA LIMITED, 10 ,-\n"
)
SERIES_CHANGES = (
    "Symbol,Security,From Series,To Series,Change Date,Remarks\n"
    'ALPHA,ALPHA LIMITED,EQ,BE,30-AUG-2024,"GSM STAGE - 0"\n'
    'GAMMA,GAMMA LIMITED,BE,EQ,02-SEP-2024,"-"\n'
    'BETA,BETA LIMITED,EQ,BE,29-AUG-2024,"-"\n'  # of a day before: the bhavcopy says it
)
FILES = {
    series_change_file(LAST).path: SERIES_CHANGES.encode(),
    price_band_file(LAST).path: PRICE_BANDS.encode(),
    full_file(LAST).path: FULL_BHAVCOPY.encode(),
    surveillance_file(LAST).path: MEASURES.encode(),
    report_file(LAST).path: REPORT,
}


async def facts_of(files: dict[str, bytes], folder: Path) -> dict[str, SymbolFacts]:
    async with (
        serving(dict(small_market().files()) | files) as server,
        web_client(server.root, folder) as market,
    ):
        return {facts.symbol: facts for facts in await market.facts(LAST)}


async def test_every_file_says_its_part(tmp_path: Path) -> None:
    found = await facts_of(FILES, tmp_path)
    assert found["NSE:ALPHA"] == SymbolFacts(
        symbol="NSE:ALPHA",
        delivery_pct=49.48,
        market_cap=5e9,
        band_hit=BandHit.UPPER,
        results_on=date(2024, 9, 12),
        surveillance=("ASM stage 2",),
        price_band_pct=5.0,
        series_change="series EQ to BE (trade for trade) on 2024-08-30, GSM STAGE - 0",
    )
    assert found["NSE:BETA"].surveillance == ("GSM stage 0", "short-term ASM stage 1")
    assert found["NSE:BETA"].delivery_pct is None
    assert found["NSE:BETA"].price_band_pct is None
    assert found["NSE:BETA"].series_change is None
    lower = SymbolFacts(
        symbol="NSE:GAMMA",
        band_hit=BandHit.LOWER,
        price_band_pct=10.0,
        series_change="series BE to EQ on 2024-09-02",
    )
    assert found["NSE:GAMMA"] == lower
    assert "NSE:NEWNAME" not in found


@pytest.mark.parametrize("lost", sorted(FILES))
async def test_what_a_missing_or_damaged_file_would_say_is_unknown(tmp_path: Path, lost: str) -> None:
    missing = await facts_of({path: body for path, body in FILES.items() if path != lost}, tmp_path / "a")
    damaged = await facts_of(FILES | {lost: b"PK\x03\x04nothing"}, tmp_path / "b")
    assert missing == damaged
    assert "NSE:ALPHA" in missing
    assert missing != await facts_of(FILES, tmp_path / "c")


async def test_a_folder_of_files_serves_as_well(tmp_path: Path) -> None:
    folder = small_market().publish(tmp_path / "bulletins")
    for path, body in FILES.items():
        (folder / Path(path).name).write_bytes(body)
    async with folder_client(folder, tmp_path / "door") as market:
        found = {facts.symbol: facts for facts in await market.facts(LAST)}
    assert found["NSE:ALPHA"].delivery_pct == 49.48
    assert found["NSE:GAMMA"].series_change == "series BE to EQ on 2024-09-02"


async def test_a_folder_may_keep_series_changes_by_day(tmp_path: Path) -> None:
    """Under the name of their day they come before a file of today's changes alone."""
    folder = small_market().publish(tmp_path / "bulletins")
    (folder / "series_change.csv").write_text(SERIES_CHANGES.replace("ALPHA", "NOBODY"))
    (folder / f"series_change_{LAST:%d%m%Y}.csv").write_text(SERIES_CHANGES)
    async with folder_client(folder, tmp_path / "client") as market:
        found = {facts.symbol: facts.series_change for facts in await market.facts(LAST)}
    assert found["NSE:ALPHA"] == "series EQ to BE (trade for trade) on 2024-08-30, GSM STAGE - 0"


def test_a_real_daily_file_gives_delivery() -> None:
    path = real_data("nse_pr/sec_bhavdata_full_16122025.csv")
    found = read_delivery(path, date(2025, 12, 16))
    assert len(found) > 2_000
    assert found["20MICRONS"] == 49.48


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (read_delivery, "A,B\n1,2\n"),
        (read_surveillance, "SYMBOL\nA\n"),
        (read_price_bands, "SYMBOL,SERIES\nA,EQ\n"),
        (read_series_changes, "SYMBOL,FROM SERIES\nA,EQ\n"),
    ],
)
def test_a_file_of_another_layout_is_refused_by_name(
    tmp_path: Path, read: Callable[[Path, date], object], text: str
) -> None:
    path = tmp_path / "list.csv"
    path.write_text(text)
    with pytest.raises(BadInputError, match=r"list\.csv, row 1: expected columns"):
        read(path, LAST)
