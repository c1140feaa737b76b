"""The archive by web: politely, once for each file, through whatever the server does."""

from collections.abc import AsyncIterator, Mapping
from datetime import date, datetime, timedelta
from pathlib import Path

import aiohttp
import msgspec
import pytest

from tests.bhavcopy.clients import QUICK, evening_clock, web_client
from tests.bhavcopy.publisher import FIRST, LAST, Publisher, small_market
from tests.bhavcopy.web import ArchiveServer, Reply, answer, cut, serving
from tests.fakes.clock import FakeClock, Sleep
from vcpd.bhavcopy.archive import Downloader, full_file, index_file, legacy_file, udiff_file
from vcpd.bhavcopy.settings import BhavcopySettings
from vcpd.core.errors import RetryableError
from vcpd.domain.instruments import Instrument

ALPHA = Instrument("NSE:ALPHA", 1)
BETA = Instrument("NSE:BETA", 1)
SINCE = date(2024, 8, 1)


@pytest.fixture(scope="module")
def publisher() -> Publisher:
    return small_market()


@pytest.fixture(scope="module")
def files(publisher: Publisher) -> Mapping[str, bytes]:
    return dict(publisher.files())


@pytest.fixture
async def server(files: Mapping[str, bytes]) -> AsyncIterator[ArchiveServer]:
    async with serving(dict(files)) as found:
        yield found


@pytest.fixture
def folder(publisher: Publisher, tmp_path: Path) -> Path:
    """A door's folder with the list of actions in it."""
    actions = tmp_path / "door" / "actions"
    actions.mkdir(parents=True)
    (actions / "CF-CA-equities.csv").write_bytes(publisher.action_list())
    return tmp_path / "door"


def daily_files_requested(server: ArchiveServer) -> list[str]:
    """The requests for bulletins and index values; reports of corporate actions are asked for beside them."""
    return [path for path in server.requested if "/pr/PR" not in path]


async def test_each_file_is_asked_for_once_and_kept(
    publisher: Publisher, server: ArchiveServer, folder: Path
) -> None:
    async with web_client(server.root, folder) as market:
        first = await market.daily_bars(ALPHA, FIRST, LAST)
        await market.daily_bars(BETA, FIRST, LAST)
    assert len(first) == len(publisher.sessions)
    assert len(server.requested) == len(set(server.requested))
    assert len(daily_files_requested(server)) == 2 * len(publisher.sessions)
    async with web_client(server.root, folder) as again:
        assert (await again.daily_bars(ALPHA, FIRST, LAST)).records.tobytes() == first.records.tobytes()
    assert len(daily_files_requested(server)) == 2 * len(publisher.sessions)


async def test_a_holiday_is_not_asked_for(server: ArchiveServer, folder: Path) -> None:
    """2024-08-15 was Independence Day, the 17th and 18th a weekend."""
    async with web_client(server.root, folder) as market:
        reported = await market.daily_bars(ALPHA, date(2024, 8, 14), date(2024, 8, 19))
    assert reported.sessions.tolist() == [date(2024, 8, 14), date(2024, 8, 16), date(2024, 8, 19)]
    assert len(daily_files_requested(server)) == 6


async def test_what_was_fetched_survives_a_stop_in_the_middle(
    publisher: Publisher, server: ArchiveServer, folder: Path
) -> None:
    """The second start asks only for what the first did not get."""
    wanted = publisher.sessions[publisher.sessions.index(SINCE) :]
    for session in wanted[10:]:
        server.faults[udiff_file(session).path] = [answer(500)] * 3
        server.faults[full_file(session).path] = [answer(500)] * 3
    async with web_client(server.root, folder) as market:
        with pytest.raises(RetryableError, match="500"):
            await market.daily_bars(ALPHA, SINCE, LAST)
    server.faults.clear()
    server.requested.clear()
    async with web_client(server.root, folder) as market:
        assert len(await market.daily_bars(ALPHA, SINCE, LAST)) == len(wanted)
    assert {udiff_file(day).path for day in wanted[:10]}.isdisjoint(server.requested)


@pytest.mark.parametrize(
    "fault",
    [
        answer(500),
        answer(503, Retry_After="0"),
        answer(429),
        answer(403, b"<html>denied</html>"),
        answer(200, b"<html>Please wait</html>"),
        answer(200, b""),
        answer(302, Location="/elsewhere"),
        cut,
    ],
)
async def test_a_temporary_error_leaves_no_trace(
    publisher: Publisher, server: ArchiveServer, folder: Path, fault: Reply
) -> None:
    session = date(2024, 8, 20)
    server.faults = {udiff_file(session).path: [fault, fault], index_file(session).path: [fault]}
    async with web_client(server.root, folder) as market:
        reported = await market.daily_bars(ALPHA, SINCE, LAST)
    assert reported.sessions.tolist() == publisher.sessions[publisher.sessions.index(SINCE) :]


async def test_a_damaged_file_is_replaced_by_another_layout(
    publisher: Publisher, server: ArchiveServer, folder: Path
) -> None:
    """A zip cut short on the server's disk: the same session stands in the full layout beside it."""
    session = date(2024, 8, 20)
    path, body = publisher.daily_file(session, "full")
    server.files[path] = body
    server.files[udiff_file(session).path] = server.files[udiff_file(session).path][:-30]
    async with web_client(server.root, folder) as market:
        reported = await market.daily_bars(ALPHA, SINCE, LAST)
    assert session in reported.sessions.tolist()
    assert not (folder / "files" / "2024" / udiff_file(session).name).exists()


async def test_a_layout_that_is_not_there_is_replaced_by_another(
    publisher: Publisher, server: ArchiveServer, folder: Path
) -> None:
    for session in publisher.sessions[:8]:
        del server.files[legacy_file(session).path]
        path, body = publisher.daily_file(session, "full" if session.day % 2 else "udiff")
        server.files[path] = body
    async with web_client(server.root, folder) as market:
        reported = await market.daily_bars(BETA, FIRST, LAST)
    assert reported.sessions.tolist() == publisher.sessions
    steps = reported.close[1:] / reported.close[:-1]
    assert steps.min() > 0.9


async def test_a_daily_file_is_awaited_gently(
    publisher: Publisher, server: ArchiveServer, folder: Path
) -> None:
    """Between two looks for tonight's bulletin lie minutes, however often it is asked for."""
    clock = FakeClock(datetime.fromisoformat("2024-08-30T18:00:00+05:30"), Sleep.RETURNS)
    later = {path: server.files.pop(path) for path in (udiff_file(LAST).path, index_file(LAST).path)}
    async with web_client(server.root, folder, clock) as market:
        for _ in range(5):
            with pytest.raises(RetryableError, match="2024-08-30 is not in the archive yet"):
                await market.quotes(["NSE:ALPHA"])
        assert server.requested.count(udiff_file(LAST).path) == 1
        server.files |= later
        clock.at += timedelta(minutes=6)
        assert set(await market.quotes(["NSE:ALPHA"])) == {"NSE:ALPHA"}


async def test_daily_files_without_indices_wait_for_them(server: ArchiveServer, folder: Path) -> None:
    """Shares without their benchmark are half a session."""
    del server.files[index_file(LAST).path]
    async with web_client(server.root, folder) as market:
        with pytest.raises(RetryableError, match="2024-08-30"):
            await market.quotes(["NSE:ALPHA"])


async def test_an_archive_out_of_reach_is_not_asked_for_every_share(
    server: ArchiveServer, folder: Path
) -> None:
    server.is_down = True
    clock = evening_clock()
    async with web_client(server.root, folder, clock) as market:
        for instrument in [ALPHA, BETA] * 10:
            with pytest.raises(RetryableError, match="503"):
                await market.daily_bars(instrument, FIRST, LAST)
        assert len(server.requested) < 120  # of 63 sessions in three layouts, three tries each
        server.is_down = False
        clock.at += timedelta(seconds=61)
        assert len(await market.daily_bars(ALPHA, FIRST, LAST)) > 0


async def test_requests_are_spaced(server: ArchiveServer, folder: Path) -> None:
    async with web_client(server.root, folder, requests_per_s=50) as market:
        await market.daily_bars(ALPHA, date(2024, 8, 12), date(2024, 8, 23))
    span_s = server.asked_at_s[-1] - server.asked_at_s[0]
    assert (len(server.requested) - 1) / span_s < 55


async def test_a_file_beyond_the_limit_is_not_read(server: ArchiveServer) -> None:
    settings = msgspec.convert({**QUICK, "body_limit_mb": 0.001, "max_attempts": 1}, BhavcopySettings)
    server.files["huge"] = b"x" * 2000
    async with aiohttp.ClientSession() as http:
        download = Downloader(http, settings)
        with pytest.raises(RetryableError, match="larger than 1048 bytes"):
            await download.fetch(f"{server.root}/huge", "huge")
