"""What the archive shows of a day: a file, none beside another day's, or nothing at all."""

from datetime import date, datetime
from pathlib import Path
from typing import Final

import pytest

from tests.bhavcopy.clients import folder_client, web_client
from tests.bhavcopy.web import serving
from tests.fakes.clock import FakeClock, Sleep
from vcpd.bhavcopy.archive import bhavcopy_files, index_file
from vcpd.core.errors import RetryableError
from vcpd.domain.market_days import DayEvidence

FRIDAY, MONDAY = date(2024, 8, 30), date(2024, 9, 2)
INDEX: Final = index_file(FRIDAY).path
DAILY_FILE: Final = bhavcopy_files(MONDAY)[0].path


def clock(at: str) -> FakeClock:
    return FakeClock(datetime.fromisoformat(f"{at}:00+05:30"), Sleep.RETURNS)


@pytest.mark.parametrize(
    ("files", "at", "expected"),
    [
        ({DAILY_FILE: b"x", INDEX: b"x"}, "2024-09-02T19:50", DayEvidence.TRADED),
        ({INDEX: b"x"}, "2024-09-02T19:50", DayEvidence.CLOSED),
        ({INDEX: b"x"}, "2024-09-02T17:50", DayEvidence.UNCLEAR),  # it may still come
        ({}, "2024-09-02T19:50", DayEvidence.UNCLEAR),  # an archive that gives nothing proves nothing
    ],
)
async def test_the_archive_shows_a_day(
    files: dict[str, bytes], at: str, expected: DayEvidence, tmp_path: Path
) -> None:
    async with serving(files) as server, web_client(server.root, tmp_path, clock(at)) as market:
        assert (await market.day_evidence(MONDAY)).evidence is expected


async def test_an_archive_that_is_away_shows_nothing(tmp_path: Path) -> None:
    async with web_client("http://127.0.0.1:9", tmp_path, clock("2024-09-02T19:50")) as market:
        with pytest.raises(RetryableError):
            await market.day_evidence(MONDAY)


async def test_a_kept_file_is_no_answer_of_the_archive(tmp_path: Path) -> None:
    """Friday's values are kept, and the archive no longer gives anything: that proves no holiday."""
    kept = tmp_path / "files" / "2024" / index_file(FRIDAY).name
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(b"x")
    async with serving({}) as server, web_client(server.root, tmp_path, clock("2024-09-02T19:50")) as market:
        assert (await market.day_evidence(MONDAY)).evidence is DayEvidence.UNCLEAR


async def test_a_folder_of_the_user_shows_sessions_only(tmp_path: Path) -> None:
    files = tmp_path / "mine"
    files.mkdir()
    (files / index_file(FRIDAY).name).write_bytes(b"x")
    async with folder_client(files, tmp_path / "state", clock("2024-09-02T19:50")) as market:
        assert (await market.day_evidence(MONDAY)).evidence is DayEvidence.UNCLEAR
        (files / bhavcopy_files(MONDAY)[0].name).write_bytes(b"x")
    async with folder_client(files, tmp_path / "state", clock("2024-09-02T19:50")) as market:
        assert (await market.day_evidence(MONDAY)).evidence is DayEvidence.TRADED
