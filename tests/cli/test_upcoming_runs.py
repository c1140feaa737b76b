"""The calendar and the coming days, from configuration and table alone."""

import json
from pathlib import Path

import pytest

from vcpd.cli.command import EXIT_BAD_INPUT
from vcpd.cli.main import main

Capture = pytest.CaptureFixture[str]


def _config(folder: Path, text: str) -> str:
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_year_has_sessions_holidays_and_special_sessions(capsys: Capture) -> None:
    assert main(["calendar", "2026", "--json"]) == 0
    year = json.loads(capsys.readouterr().out)
    assert year["known"] is True
    assert {"date": "2026-02-01", "opens": "09:15:00", "closes": "15:30:00", "name": "Union Budget"} in year[
        "special_sessions"
    ]
    assert "2026-02-01" in year["sessions"]
    assert "2026-01-26" in [entry["date"] for entry in year["holidays"]]
    assert not {entry["date"] for entry in year["holidays"]} & set(year["sessions"])


def test_the_owners_additions_are_in_it(tmp_path: Path, capsys: Capture) -> None:
    text = '[schedule]\nextra_holidays = ["2026-07-01"]\nextra_sessions = ["2026-07-04 18:00-19:00 Drill"]\n'
    assert main(["calendar", "2026", "--config", _config(tmp_path, text)]) == 0
    said = capsys.readouterr().out
    assert "Wed 2026-07-01  holiday added by the user" in said
    assert "Sat 2026-07-04  18:00-19:00  Drill" in said


def test_a_year_outside_the_table_is_marked_and_an_impossible_one_refused(capsys: Capture) -> None:
    assert main(["calendar", "2031"]) == 0
    assert "lies outside the table" in capsys.readouterr().err
    assert main(["calendar", "12"]) == 65


def test_the_coming_days_name_each_run_and_why_a_day_has_none(tmp_path: Path, capsys: Capture) -> None:
    text = '[jobs.housekeeping]\non = "sessions"\n'
    words = ["jobs", "next", "--days", "3", "--from", "2026-01-25", "--config", _config(tmp_path, text)]
    assert main(words) == 0
    said = capsys.readouterr().out
    sunday, monday, tuesday = said.split("2026-01-25")[1].partition("2026-01-26")[0], said, said
    assert "no session: Sunday" in sunday
    assert "housekeeping" not in sunday
    assert "19:30  backup" in sunday
    assert "no session: Republic Day" in monday
    assert "15:35  collect" in tuesday
    assert "or as soon as collect is done" in tuesday


def test_the_coming_days_as_json(tmp_path: Path, capsys: Capture) -> None:
    words = [
        "jobs",
        "next",
        "--days",
        "2",
        "--from",
        "2026-01-23",
        "--json",
        "--config",
        _config(tmp_path, ""),
    ]
    assert main(words) == 0
    friday, saturday = json.loads(capsys.readouterr().out)
    assert friday["closed"] is None
    assert [entry["job"] for entry in friday["entries"]].count("collect") == 2
    assert saturday["closed"] == "Saturday"


@pytest.mark.parametrize("words", [("--from", "9999-12-30"), ("--from", "0001-01-01"), ("--days", "100000")])
def test_days_that_no_calendar_reaches_are_refused(
    words: tuple[str, str], tmp_path: Path, capsys: Capture
) -> None:
    assert main(["jobs", "next", *words, "--config", _config(tmp_path, "")]) == EXIT_BAD_INPUT
    assert "expected --from between 1990-01-01 and 2100-01-01" in capsys.readouterr().err
