"""The exchange as a value, and that no other module names one."""

import re
from pathlib import Path

import pytest

from vcpd.domain.exchange import NSE_EXCHANGE, ExchangeDescription
from vcpd.domain.instruments import Instrument, is_same_symbol

PACKAGE = Path(__file__).parents[2] / "vcpd"
MAY_NAME_AN_EXCHANGE = {
    "domain/exchange.py": "defines it",
    "domain/nse_calendar.py": "is its calendar",
    "app/markets.py": "the exchange of each market that vcpd brings along",
    "sandbox/settings.py": "the exchange that the sandbox simulates",
}
EXCHANGE_IMPORT = re.compile(
    r"^from vcpd\.domain\.(nse_calendar import|exchange import .*\bNSE_EXCHANGE\b)", re.MULTILINE
)
EXCHANGE_LITERAL = re.compile(r"""f?["']NSE:?["']|["']NSE:\{|["']Asia/Kolkata["']|₹|\bIST["'`]""")
MAY_WRITE_A_LITERAL = {
    "domain/exchange.py": "defines it",
    "domain/nse_calendar.py": "is its calendar",
    "store/bar_layouts.py": "names of columns and exchanges in the files of vendors",
    "core/dates.py": "abbreviations of many time zones, as files write them",
    "sandbox/protocol.py": "the exchanges that the vendor's interface knows",
    "domain/broker.py": "the exchanges at which the broker trades shares",
    "bhavcopy/action_terms.py": "the sign occurs in the exchange's own files",
}


@pytest.mark.parametrize("spelling", ["infy", " INFY ", "NSE:INFY", "nse:infy"])
def test_every_spelling_of_a_symbol_is_the_full_one(spelling: str) -> None:
    assert NSE_EXCHANGE.full_symbol(spelling) == "NSE:INFY"


def test_another_exchanges_symbol_stays_its_own() -> None:
    assert NSE_EXCHANGE.full_symbol("bse:infy") == "BSE:INFY"
    assert is_same_symbol("infy", "NSE:INFY")
    assert is_same_symbol("BSE:INFY", "INFY")
    assert not is_same_symbol("BSE:INFY", "NSE:INFY")
    assert not is_same_symbol("INFY", "INFYX")


def test_the_price_band_limits_a_session() -> None:
    assert NSE_EXCHANGE.price_limits(101.25) == (81.0, 121.5)


def test_an_instrument_without_a_segment_belongs_to_its_exchanges_shares() -> None:
    assert Instrument("BSE:INFY", 1).segment == "BSE"
    assert Instrument("NSE:NIFTY 50", 1, segment="INDICES").is_index


def test_the_page_is_reported_how_the_exchange_writes() -> None:
    reported = ExchangeDescription.of(NSE_EXCHANGE)
    assert (reported.name, reported.symbol_prefix, reported.time_zone, reported.zone_name) == (
        "NSE",
        "NSE:",
        "Asia/Kolkata",
        "IST",
    )
    assert (reported.currency.code, reported.currency.sign, reported.currency.locale) == ("INR", "₹", "en-IN")
    assert [unit.name for unit in reported.currency.units] == ["crore", "lakh"]


def test_no_other_module_imports_an_exchange() -> None:
    """Everything else is handed the value: one more exchange changes none of it."""
    importing = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if EXCHANGE_IMPORT.search(path.read_text(encoding="utf-8"))
    }
    assert importing == set(MAY_NAME_AN_EXCHANGE) - {"domain/nse_calendar.py"}


def test_no_other_module_spells_an_exchange_out() -> None:
    """Neither its name, nor its symbols' prefix, nor its currency's sign, nor its time zone's name."""
    sources = [*PACKAGE.rglob("*.py"), *PACKAGE.glob("web/static/*.js"), *PACKAGE.glob("web/static/*.html")]
    writing = {
        str(path.relative_to(PACKAGE))
        for path in sources
        if EXCHANGE_LITERAL.search(path.read_text(encoding="utf-8"))
    }
    assert writing <= set(MAY_WRITE_A_LITERAL)
