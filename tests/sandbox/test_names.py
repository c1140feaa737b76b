"""Invented names are all different and nobody's."""

import csv

from tests.real_data import real_data
from vcpd.sandbox.names import (
    INDUSTRIES,
    SECTORS,
    company,
    industry_from_name,
    newcomer,
    other_series,
    sector_from_name,
    sector_of,
)


def test_no_two_companies_share_a_symbol() -> None:
    """As many companies as can be set, and as many newcomers, have different symbols of plain letters."""
    numbers = range(10_000)
    symbols = [company(number)[0] for number in numbers] + [newcomer(number)[0] for number in numbers]
    assert len(set(symbols)) == 20_000
    assert all(symbol.isalnum() for symbol in symbols)
    assert all("-" in other_series(number)[0] for number in range(500))


def test_a_companys_name_states_its_sector() -> None:
    """Those of newcomers too; bonds, indices and real companies have none."""
    for number in range(3_000):
        sector = SECTORS[sector_of(number)][0].title()
        assert industry_from_name(company(number)[1]) == industry_from_name(newcomer(number)[1]) is not None
        assert sector_from_name(company(number)[1]) == sector_from_name(newcomer(number)[1]) == sector
        assert sector_from_name(other_series(number)[1]) is None
    assert (
        industry_from_name("INFOSYS LIMITED")
        is sector_from_name("NIFTY 500")
        is sector_from_name("INFOSYS LIMITED")
        is sector_from_name("")
        is None
    )


def test_each_industry_belongs_to_one_sector() -> None:
    names = [INDUSTRIES[suffix] for _, suffixes in SECTORS for suffix in suffixes]
    assert len(set(names)) == len(names) == len(INDUSTRIES)


def test_no_name_is_a_real_one() -> None:
    """None of them is in the exchange's own list."""
    with real_data("instruments/kite_instruments_NSE_2025-09.csv").open(encoding="utf-8") as lines:
        real = {row["tradingsymbol"] for row in csv.DictReader(lines)}
    assert not real & {company(number)[0] for number in range(10_000)}
    assert not real & {newcomer(number)[0] for number in range(3000)}
    assert not real & {other_series(number)[0] for number in range(1250)}
