"""Funds are told from shares by ISIN, name and symbol, against real lists."""

import csv

import pytest

from tests.real_data import real_data
from vcpd.domain.instruments import Instrument, is_fund, is_fund_isin, is_fund_symbol
from vcpd.kite.instrument_wire import decode_instruments


@pytest.mark.parametrize(
    "symbol", ["NIFTYBEES", "NSE:GOLDBEES", "SBIETFPB", "ALPHA", "SILVERIETF", "nse:liquid1"]
)
def test_a_fund_is_known_by_its_symbol(symbol: str) -> None:
    assert is_fund_symbol(symbol)


@pytest.mark.parametrize("symbol", ["INFY", "HDFCAMC", "NSE:JETFREIGHT", "UTIAMC", "BEESCO", "ABSLAMC"])
def test_a_share_is_none(symbol: str) -> None:
    assert not is_fund_symbol(symbol)


def test_an_isin_of_a_mutual_fund_is_one() -> None:
    assert is_fund_isin("INF204KB14I2")
    assert not is_fund_isin("INE009A01021")


def test_a_new_fund_is_known_by_its_fund_house() -> None:
    assert is_fund(Instrument("NSE:NEWNAME", 1, name="KOTAKMAMC - NEWNAME"))
    assert is_fund(Instrument("NSE:NEWNAME", 1, name="SOME HOUSE NIFTY 50 ETF"))
    assert is_fund(Instrument("NSE:NEWNAME", 1, is_fund=True))
    assert not is_fund(Instrument("NSE:HDFCAMC", 1, name="HDFC ASSET MANAGEMENT CO"))
    assert not is_fund(Instrument("NSE:NIFTY ALPHA 50", 1, name="ALPHA", segment="INDICES"))


def test_the_funds_of_a_real_dump_are_those_of_the_real_file() -> None:
    """2,229 symbols of the default universe; the file of three months later lacks five that were delisted."""
    with real_data("nse_pr/etf17122025.csv").open(encoding="utf-8") as file:
        published = {row["SYMBOL"] for row in csv.DictReader(file)}
    body = real_data("instruments/kite_instruments_NSE_2025-09.csv").read_bytes()
    shares = [
        instrument
        for instrument in decode_instruments(body, "NSE", 0.05)
        if instrument.series == "EQ" and not instrument.is_index
    ]
    funds = {instrument.trading_symbol for instrument in shares if is_fund(instrument)}
    listed = {instrument.trading_symbol for instrument in shares}
    assert len(shares) > 2_000
    assert published & listed <= funds
    assert len(funds - published) <= 5
