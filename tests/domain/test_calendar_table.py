"""Calendar tables as files: what vcpd brings along, and what is refused by name."""

from datetime import date, time
from importlib import resources

import pytest

from vcpd.core.errors import BadInputError
from vcpd.domain.calendar_table import parse_calendar_table
from vcpd.domain.nse_calendar import NSE

TABLE = """
name = "TEST"
time_zone = "Asia/Tokyo"
valid_from = 2026-01-01
valid_until = 2027-12-31
[[regular_hours]]
since = 2027-04-01
opens = 09:00:00
closes = 15:30:00
phases = [{ name = "continuous", opens = 09:00:00, closes = 15:30:00 }]
[[regular_hours]]
since = 2026-01-01
opens = 09:00:00
closes = 15:00:00
phases = []
[special_sessions]
2027-02-07 = { hours = ["09:00-09:45", "11:15-12:00"], name = "drill" }
[holidays]
2027-01-11 = "Coming of Age Day"
"""


def test_a_table_becomes_a_calendar_with_its_hours_in_order() -> None:
    calendar = parse_calendar_table(TABLE.encode(), "test.toml")
    assert [era.since for era in calendar.regular_hours] == [date(2026, 1, 1), date(2027, 4, 1)]
    assert calendar.closure_reason(date(2027, 1, 11)) == "Coming of Age Day"
    drill = calendar.special_sessions[date(2027, 2, 7)]
    assert (drill.opens, drill.closes) == (time(9), time(12))
    assert [phase.closes for phase in drill.phases] == [time(9, 45), time(12)]


def test_the_shipped_table_is_a_file_of_the_package() -> None:
    body = resources.files("vcpd.domain").joinpath("nse_calendar.toml").read_bytes()
    assert parse_calendar_table(body, "nse_calendar.toml") == NSE
    assert sum(special.name.startswith("Muhurat") for special in NSE.special_sessions.values()) == 11


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ('name = "TEST"', "", "missing required field `name`"),
        ("valid_until = 2027-12-31", "valid_until = 2025-12-31", "expected valid_from at or before"),
        ("[holidays]", "[holiday]", "unknown field `holiday`"),
        ("2027-01-11 =", "2027-13-11 =", "Invalid RFC3339"),
        ('"11:15-12:00"', '"11:15"', "special session 2027-02-07: expected hours such as 18:00-19:00"),
        ('["09:00-09:45", "11:15-12:00"]', "[]", "special session 2027-02-07: expected hours"),
        ('"09:00-09:45", "11:15-12:00"', '"11:00-09:45"', "to open before it closes"),
        ("15:30:00 }", "08:30:00 }", "hours since 2027-04-01: continuous closes before it opens"),
        ("15:30:00 }", '15:30:00, shares = "some" }', "expected shares to be one of all, F&O, other"),
        ("closes = 15:00:00", "closes = 05:00:00", "hours since 2026-01-01: the session closes before"),
    ],
)
def test_a_bad_table_is_refused_by_name(old: str, new: str, what: str) -> None:
    assert old in TABLE
    with pytest.raises(BadInputError, match=rf"my\.toml: .*{what}"):
        parse_calendar_table(TABLE.replace(old, new, 1).encode(), "my.toml")


def test_a_table_without_hours_is_refused() -> None:
    head, _, rest = TABLE.partition("[[regular_hours]]")
    body = f"{head}regular_hours = []\n[special_sessions]{rest.partition('[special_sessions]')[2]}"
    with pytest.raises(BadInputError, match="at least one table"):
        parse_calendar_table(body.encode(), "my.toml")
