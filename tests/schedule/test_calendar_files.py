"""Holiday lists of a new year: read as published, refused when implausible, added to the calendar."""

from datetime import date
from pathlib import Path

import msgspec
import pytest

from tests.real_data import real_data
from vcpd.cli.command import EXIT_BAD_CONFIGURATION, EXIT_BAD_INPUT, EXIT_OK
from vcpd.cli.main import main
from vcpd.config import load_configuration
from vcpd.core.errors import BadInputError, ConfigurationError
from vcpd.domain.nse_calendar import NSE
from vcpd.schedule.kept_calendar import keep_holidays, parse_holidays, with_calendar_files
from vcpd.schedule.policy import ScheduleSettings

LINES = (
    "2027-01-26 Republic Day\n2027-03-22,Holi\n26-Mar-2027 Good Friday\n2027-04-14 Ambedkar Jayanti\n"
    "2027-05-17 Bakri Id\n2027-08-15 Independence Day\n2027-09-06 Ganesh Chaturthi\n2027-10-29 Diwali\n"
    "2027-11-15 Guru Nanak Jayanti\n2027-06-16 Muharram\n2027-12-25 Christmas\n"
)


def test_a_list_of_lines_gives_the_weekdays_of_its_year() -> None:
    found = parse_holidays(LINES.encode(), "2027.txt")
    assert found.year == 2027
    assert found.holidays[date(2027, 3, 26)] == "Good Friday"
    assert date(2027, 8, 15) not in found.holidays  # a Sunday
    assert len(found.holidays) == 9


@pytest.mark.parametrize(
    ("name", "moved"),
    [
        ("nse_holiday_master_2024_raw_api.json", []),
        ("nse_holidays_2023_eod2.json", [date(2023, 6, 28)]),  # Bakri Id was moved to the 29th that week
    ],
)
def test_lists_as_published_agree_with_the_calendar(name: str, moved: list[date]) -> None:
    found = parse_holidays(real_data(f"holidays/{name}").read_bytes(), name)
    traded = [day for day in found.holidays if NSE.is_session(day) and day not in NSE.special_sessions]
    assert traded == moved
    assert len(found.holidays) > 10


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (LINES.replace("2027-01-26 Republic Day\n", ""), "2027-01-26, Republic Day, is missing"),
        ("2027-01-26 Republic Day\n", "expected 8 to 25 holidays on weekdays, was 1"),
        ("2027-01-26 a\n2028-01-26 b\n", r"expected the holidays of one year, was \[2027, 2028\]"),
        ("", "expected the holidays of one year, was none"),
        ("nothing at all\n", "expected a date"),
        ('{"CM": 1}', "expected a list of holidays, or a section `CM`"),
        ("[1", "not valid JSON"),
    ],
)
def test_what_is_no_plausible_list_is_refused_by_name(body: str, what: str) -> None:
    with pytest.raises(BadInputError, match=rf"list: {what}"):
        parse_holidays(body.encode(), "list")


def test_a_plausible_looking_list_that_is_wrong_is_refused() -> None:
    body = real_data("holidays/WRONG_pyprasad_nse_holidays_2026.json").read_bytes()
    days = msgspec.json.decode(body)["years"]["2026"]
    with pytest.raises(BadInputError, match="Republic Day"):
        parse_holidays("\n".join(days).encode(), "wrong")


def test_kept_lists_extend_the_calendar_and_the_user_s_own_sessions_win(tmp_path: Path) -> None:
    keep_holidays(parse_holidays(LINES.encode(), "list"), tmp_path)
    settings = ScheduleSettings(extra_sessions=("2027-10-29 18:00-19:00 Muhurat",))
    calendar = with_calendar_files(settings, tmp_path, "sandbox").calendar(NSE)
    assert calendar.valid_until == date(2027, 12, 31)
    assert not calendar.is_session(date(2027, 3, 22))
    assert calendar.is_session(date(2027, 10, 29))
    assert NSE.is_session(date(2027, 3, 22))
    assert with_calendar_files(settings, tmp_path / "empty", "sandbox") is settings


def test_the_command_keeps_a_list_that_the_configuration_then_uses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, published = tmp_path / "config.toml", tmp_path / "holidays-2027.txt"
    config.write_text("", encoding="utf-8")
    published.write_text(LINES, encoding="utf-8")
    assert main(["calendar", "update", str(published), "--config", str(config)]) == EXIT_OK
    assert "2027: 9 holidays on weekdays, kept in " in capsys.readouterr().out
    assert load_configuration(config, {}).configuration.calendar.valid_until == date(2027, 12, 31)
    assert main(["calendar", "2027", "--config", str(config)]) == EXIT_OK
    assert "Good Friday" not in capsys.readouterr().err
    published.write_text("2027-01-26 Republic Day\n", encoding="utf-8")
    assert main(["calendar", "update", str(published), "--config", str(config)]) == EXIT_BAD_INPUT
    kept = next((load_configuration(config, {}).state_dir / "calendar").iterdir())
    kept.write_text("[", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="run `vcpd calendar update` again"):
        load_configuration(config, {})
    assert main(["calendar", "2027", "--config", str(config)]) == EXIT_BAD_CONFIGURATION
