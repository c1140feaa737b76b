"""The calendar of the NSE cash market that vcpd brings along, from the table beside this module."""

from importlib import resources
from typing import Final

from vcpd.domain.calendar import TradingCalendar
from vcpd.domain.calendar_table import parse_calendar_table

NSE_TABLE: Final = "nse_calendar.toml"


def _read_shipped(name: str) -> TradingCalendar:
    return parse_calendar_table(resources.files("vcpd.domain").joinpath(name).read_bytes(), name)


NSE: Final = _read_shipped(NSE_TABLE)
