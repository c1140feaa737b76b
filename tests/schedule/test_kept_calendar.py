"""Calendar files of the state folder: a newer table, lists, learned days, and the user's own words last."""

import json
from datetime import date
from pathlib import Path
from typing import Final

import msgspec
import pytest

from tests.schedule.test_calendar_files import LINES
from vcpd.cli.command import EXIT_BAD_INPUT, EXIT_OK
from vcpd.cli.main import main
from vcpd.config import load_configuration
from vcpd.core.errors import ConfigurationError, UnavailableError
from vcpd.domain.market_days import LearnedDay, MarketDays
from vcpd.domain.nse_calendar import NSE
from vcpd.schedule.kept_calendar import (
    MarketDayFile,
    keep_holidays,
    own_settings,
    parse_holidays,
    with_calendar_files,
)
from vcpd.schedule.policy import ScheduleSettings

HOLI, SATURDAY = date(2027, 3, 22), date(2027, 2, 6)
LEARNED: Final = MarketDays(
    (
        LearnedDay(SATURDAY, True, NSE.open_close(date(2027, 2, 5))[0], "quotes"),
        LearnedDay(HOLI, False, NSE.open_close(HOLI)[0], "no quotes"),
    )
)
TABLE: Final = """
name = "NSE"
time_zone = "Asia/Kolkata"
valid_from = 2016-01-01
valid_until = 2028-12-31
[[regular_hours]]
since = 2010-10-18
opens = 09:15:00
closes = 15:30:00
phases = []
[special_sessions]
[holidays]
2028-01-26 = "Republic Day"
"""


async def test_learned_days_reach_the_calendar_of_their_market_alone(tmp_path: Path) -> None:
    file = MarketDayFile(tmp_path, "kite")
    await file.save(LEARNED)
    assert file.changed.is_set()
    kite = with_calendar_files(ScheduleSettings(), tmp_path, "kite").calendar(NSE)
    assert (kite.is_session(SATURDAY), kite.is_session(HOLI)) == (True, False)
    sandbox = with_calendar_files(ScheduleSettings(), tmp_path, "sandbox").calendar(NSE)
    assert (sandbox.is_session(SATURDAY), sandbox.is_session(HOLI)) == (False, True)
    assert await MarketDayFile(tmp_path, "kite").load() == LEARNED


async def test_looks_alone_change_no_calendar(tmp_path: Path) -> None:
    file = MarketDayFile(tmp_path, "kite")
    await file.save(MarketDays(traded_on=HOLI))
    assert not file.changed.is_set()


async def test_the_user_has_the_last_word(tmp_path: Path) -> None:
    await MarketDayFile(tmp_path, "kite").save(LEARNED)
    settings = ScheduleSettings(extra_holidays=(SATURDAY,), extra_sessions=(f"{HOLI} 18:00-19:00",))
    merged = with_calendar_files(settings, tmp_path, "kite")
    calendar = merged.calendar(NSE)
    assert (calendar.is_session(SATURDAY), calendar.is_session(HOLI)) == (False, True)
    assert own_settings(merged) == settings
    assert with_calendar_files(merged, tmp_path, "kite") == merged


def test_a_table_that_reaches_further_takes_the_place_of_the_built_in_one(tmp_path: Path) -> None:
    (tmp_path / "calendar").mkdir()
    (tmp_path / "calendar" / "table.toml").write_text(TABLE, encoding="utf-8")
    keep_holidays(parse_holidays(LINES.encode(), "list"), tmp_path)
    calendar = with_calendar_files(ScheduleSettings(), tmp_path, "kite").calendar(NSE)
    assert calendar.valid_until == date(2028, 12, 31)
    assert calendar.closure_reason(date(2028, 1, 26)) == "Republic Day"
    assert calendar.closure_reason(HOLI) == "Holi"
    shorter = TABLE.replace("2028-12-31", "2025-12-31")
    (tmp_path / "calendar" / "table.toml").write_text(shorter, encoding="utf-8")
    assert with_calendar_files(ScheduleSettings(), tmp_path, "kite").calendar(NSE).covers(date(2026, 5, 1))


@pytest.mark.parametrize("name", ["table.toml", "learned-kite.json", "holidays-2027.json"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "calendar").mkdir()
    (tmp_path / "calendar" / name).write_text("[1", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=name):
        with_calendar_files(ScheduleSettings(), tmp_path, "kite")


async def test_a_folder_that_cannot_be_written_loses_nothing(tmp_path: Path) -> None:
    (tmp_path / "calendar").write_text("a file where a folder should be", encoding="utf-8")
    file = MarketDayFile(tmp_path, "kite")
    with pytest.raises(UnavailableError, match=r"learned-kite.json"):
        await file.save(LEARNED)
    assert (file.latest, file.changed.is_set()) == (MarketDays(), False)


def test_the_command_keeps_a_table_and_shows_the_user_s_settings_as_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, table = tmp_path / "config.toml", tmp_path / "new.toml"
    path.write_text('[schedule]\nextra_holidays = [2027-05-03]\n[daemon]\nstate_dir = "state"\n')
    table.write_text(TABLE, encoding="utf-8")
    assert main(["calendar", "update", str(table), "--config", str(path)]) == EXIT_OK
    assert "NSE: 2016-01-01 to 2028-12-31" in capsys.readouterr().out
    assert load_configuration(path).configuration.calendar.valid_until == date(2028, 12, 31)
    assert main(["show-config", "--json", "--config", str(path)]) == EXIT_OK
    shown = json.loads(capsys.readouterr().out)["configuration"]["schedule"]
    assert shown["extra_holidays"] == ["2027-05-03"]
    assert set(shown) == {field.name for field in msgspec.structs.fields(ScheduleSettings)}
    table.write_text(TABLE.replace("[holidays]", "[holiday]"), encoding="utf-8")
    assert main(["calendar", "update", str(table), "--config", str(path)]) == EXIT_BAD_INPUT
    assert "new.toml: no calendar table" in capsys.readouterr().err
