"""The published holiday list is asked for once a day, kept where it says more, and missed without harm."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from typing import Final

import aiohttp
import pytest

from tests.bhavcopy.web import ArchiveServer, answer, serving
from tests.schedule.test_calendar_files import LINES
from vcpd.app.holiday_lists import HolidayListUpdate
from vcpd.domain.nse_calendar import NSE
from vcpd.schedule.kept_calendar import MarketDayFile, with_calendar_files
from vcpd.schedule.policy import ScheduleSettings

TODAY: Final = date(2026, 12, 14)


@asynccontextmanager
async def updates(
    tmp_path: Path, body: bytes = LINES.encode()
) -> AsyncIterator[tuple[HolidayListUpdate, ArchiveServer]]:
    async with serving({"list": body}) as server, aiohttp.ClientSession() as http:
        days = MarketDayFile(tmp_path, "kite")
        yield HolidayListUpdate(http, f"{server.root}/list", tmp_path, days), server


async def test_a_new_year_s_list_is_taken_over_once(tmp_path: Path) -> None:
    async with updates(tmp_path) as (update, server):
        said = await update(NSE, TODAY)
        assert "holiday list of 2027 was taken over" in said
        assert "2027-03-22 Holi" in said
        assert update.days.changed.is_set()
        calendar = with_calendar_files(ScheduleSettings(), tmp_path, "kite").calendar(NSE)
        assert calendar.closure_reason(date(2027, 3, 26)) == "Good Friday"
        assert await update(NSE, TODAY) == ""
        assert await update(calendar, date(2026, 12, 15)) == ""
        assert len(server.requested) == 2


@pytest.mark.parametrize("status", [403, 404, 500])
async def test_a_site_that_refuses_changes_nothing(tmp_path: Path, status: int) -> None:
    async with updates(tmp_path) as (update, server):
        server.faults["list"] = [answer(status)]
        assert await update(NSE, TODAY) == ""
        assert not update.days.changed.is_set()


@pytest.mark.parametrize("body", [b"<html>", b"2027-01-26 Republic Day\n", b"[1", b"x" * 2_000_000])
async def test_an_implausible_list_is_left_alone(tmp_path: Path, body: bytes) -> None:
    async with updates(tmp_path, body) as (update, _):
        assert await update(NSE, TODAY) == ""
    assert not (tmp_path / "calendar").exists()


async def test_a_market_without_a_list_is_asked_for_none(tmp_path: Path) -> None:
    async with aiohttp.ClientSession() as http:
        update = HolidayListUpdate(http, "", tmp_path, MarketDayFile(tmp_path, "sandbox"))
        assert await update(NSE, TODAY) == ""


async def test_an_address_that_is_away_is_asked_again_the_next_day(tmp_path: Path) -> None:
    async with updates(tmp_path) as (update, _):
        away = HolidayListUpdate(update.http, "http://127.0.0.1:9/list", tmp_path, update.days)
        assert await away(NSE, TODAY) == ""
        assert await away(NSE, date(2026, 12, 15)) == ""
