"""Daily reports: both eras, what revises what, and every kind of bad input."""

from collections.abc import AsyncIterator, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from tests.bhavcopy.clients import folder_client, web_client
from tests.bhavcopy.publisher import LAST, Publisher, small_market
from tests.bhavcopy.real_archive import (
    daily_files,
    event_reports,
    members_zip,
    real_events,
    real_histories,
    report,
    unadjusted,
)
from tests.bhavcopy.web import ArchiveServer, answer, serving
from tests.fakes.clock import FakeClock, Sleep
from tests.real_data import real_data
from vcpd.bhavcopy.archive import report_file
from vcpd.bhavcopy.client import BhavcopyClient
from vcpd.bhavcopy.daily_reports import pack_members, read_report
from vcpd.core.errors import BadInputError, RetryableError
from vcpd.domain.instruments import Instrument
from vcpd.domain.nse_calendar import NSE

Row = tuple[str, str, date | None, str]
SINCE = date(2024, 8, 1)
EX = date(2024, 8, 27)
DECEMBER = date(2025, 12, 16)


@pytest.fixture(scope="module")
def publisher() -> Publisher:
    return small_market()


def evening(session: date = LAST) -> FakeClock:
    return FakeClock(datetime.fromisoformat(f"{session}T20:00:00+05:30"), Sleep.RETURNS)


def rows_of(rows: Sequence[Row], session: date) -> Sequence[Row]:
    """The rows that a report of `session` lists: those from that day on, ten days ahead."""
    until = session + timedelta(days=10)
    return [row for row in rows if row[2] is None or session <= row[2] <= until]


def archive_files(publisher: Publisher, rows: Sequence[Row]) -> dict[str, bytes]:
    """Bulletins and reports, the reports listing `rows`."""
    reports = {report_file(day).path: report(day, rows_of(rows, day)) for day in publisher.sessions}
    return dict(publisher.files()) | reports


PUBLISHED_ROWS: Sequence[Row] = (
    ("EQ", "BETA", date(2024, 7, 15), "FVSPLT FRM RS 10 TO RS 2"),
    ("BE", "BETA", date(2024, 7, 15), "FVSPLT FRM RS 10 TO RS 2"),
    ("EQ", "GAMMA", date(2024, 8, 5), "BONUS 1:1"),
)


@pytest.fixture
async def server(publisher: Publisher) -> AsyncIterator[ArchiveServer]:
    async with serving(archive_files(publisher, PUBLISHED_ROWS)) as found:
        yield found


def share(symbol: str) -> Instrument:
    return Instrument(f"NSE:{symbol}", 1)


async def known_factors(market: BhavcopyClient) -> dict[tuple[str, date], float]:
    known = await market.known_actions(published_first())
    return {(action.symbol, action.ex_date): action.factor for action in known.listed.actions}


def published_first() -> date:
    return date(2024, 6, 3)


def test_a_real_report_is_read_whole() -> None:
    found = read_report([real_data("nse_pr/PR161225.zip")], DECEMBER)
    assert ("KMEW", "2025-12-22", "FVSPLT FRM RS 10 TO RS 5") in found.actions
    assert {hit.symbol: hit.is_upper for hit in found.band_hits}["21STCENMGM"]
    assert found.results_on["INFY"] == date(2026, 1, 14)
    assert len(found.funds) > 250
    assert "ABSLBANETF" in found.funds
    assert found.market_caps["360ONE"] == pytest.approx(455_719_697_328, rel=0.02)
    assert found.face_values["3PLAND"] == 2.0
    assert found.problems == ()


def test_loose_members_are_a_report_and_what_is_missing_is_named() -> None:
    names = ("nse_pr/bc17122025.csv", "nse_pr/bh17122025.csv")
    found = read_report([real_data(name) for name in names], date(2025, 12, 17))
    assert ("LALPATHLAB", "2025-12-19", "BONUS 1:1") in found.actions
    assert found.problems == tuple(f"{kind} of 2025-12-17 is missing" for kind in ("bm", "etf", "mcap"))


def test_what_is_kept_of_a_report_is_what_is_read(tmp_path: Path) -> None:
    published = real_data("nse_pr/PR161225.zip").read_bytes()
    packed = pack_members(published, "PR161225.zip", DECEMBER)
    assert len(packed) < len(published) / 4
    path = tmp_path / "PR161225.zip"
    path.write_bytes(packed)
    assert read_report([path], DECEMBER) == read_report([real_data("nse_pr/PR161225.zip")], DECEMBER)


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b"PK\x03\x04 cut", "a damaged archive"),
        (members_zip({"Bc170824.csv": "A"}), "expected members of 2024-08-16, was Bc170824.csv"),
        (members_zip({"bh16082024.csv": "A"}), "no corporate actions"),
    ],
)
def test_a_bad_report_is_refused_by_name(body: bytes, what: str) -> None:
    with pytest.raises(BadInputError, match=rf"PR160824\.zip: {what}"):
        pack_members(body, "PR160824.zip", date(2024, 8, 16))


async def test_the_site_refuses_and_every_action_is_applied(
    publisher: Publisher, server: ArchiveServer, tmp_path: Path
) -> None:
    """The site is not even asked while the reports cover every session."""
    url = f"{server.root}/api/{{first:%Y}}"
    async with web_client(server.root, tmp_path, actions_url=url) as market:
        for symbol in ("BETA", "GAMMA"):
            truth = next(entry for entry in publisher.shares if entry.symbol == symbol).truth
            found = await market.daily_bars(share(symbol), publisher.sessions[0], LAST)
            np.testing.assert_allclose(found.close, truth[:, 3], atol=0.0051)
        assert await market.history_flags(SINCE) == []
    assert not any(path.startswith("api") and path != "api/2024" for path in server.requested)


async def test_a_postponed_action_moves_and_a_withdrawn_one_goes(
    publisher: Publisher, tmp_path: Path
) -> None:
    files = archive_files(publisher, PUBLISHED_ROWS)
    early, late = date(2024, 8, 20), date(2024, 8, 22)
    for day in publisher.sessions:
        if early <= day < late:
            first = [("EQ", "ALPHA", EX, "BONUS 1:1"), ("EQ", "SMALL", EX, "BONUS 1:2")]
            files[report_file(day).path] = report(day, first)
        elif late <= day <= date(2024, 8, 29):
            files[report_file(day).path] = report(day, [("EQ", "ALPHA", date(2024, 8, 29), "BONUS 1:1")])
    async with serving(files) as server, web_client(server.root, tmp_path) as market:
        factors = await known_factors(market)
    assert factors["ALPHA", date(2024, 8, 29)] == 0.5
    assert ("ALPHA", EX) not in factors
    assert not any(symbol == "SMALL" for symbol, _ in factors)


@pytest.mark.parametrize("kind", ["missing", "cut", "web page", "other layout", "refused"])
async def test_a_report_that_cannot_be_had_is_covered_by_its_neighbours_and_retried(
    server: ArchiveServer, tmp_path: Path, kind: str
) -> None:
    session = date(2024, 8, 5)
    path = report_file(session).path
    whole = server.files[path]
    bad = {
        "cut": whole[:60],
        "web page": b"<html>",
        "other layout": members_zip({"bc05082024.csv": "A,B\n1,2"}),
    }
    if kind == "missing":
        del server.files[path]
    elif kind == "refused":
        server.faults[path] = [answer(403)] * 3
    else:
        server.files[path] = bad[kind]
    clock = evening(date(2024, 8, 8))
    async with web_client(server.root, tmp_path, clock) as market:
        assert (await known_factors(market))["GAMMA", session] == 0.5
        asked = server.requested.count(path)
        server.files[path] = whole
        clock.at += timedelta(minutes=16)
        assert (await known_factors(market))["GAMMA", session] == 0.5
        assert server.requested.count(path) == asked + 1
        clock.at += timedelta(minutes=16)
        await known_factors(market)
        assert server.requested.count(path) == asked + 1


async def test_an_unknown_purpose_flags_the_share_from_its_ex_date_until_it_is_understood(
    publisher: Publisher, tmp_path: Path
) -> None:
    rows: Sequence[Row] = (*PUBLISHED_ROWS, ("EQ", "ALPHA", EX, "QUANTUM RESHUFFLE 3 INTO 2"))
    clock = evening(date(2024, 8, 26))
    async with serving(archive_files(publisher, rows)) as server:
        async with web_client(server.root, tmp_path, clock) as market:
            await market.daily_bars(share("ALPHA"), publisher.sessions[0], LAST)
            assert await market.history_flags(SINCE) == []
            clock.at = evening(date(2024, 8, 28)).at
            await market.daily_bars(share("ALPHA"), publisher.sessions[0], LAST)
            (flag,) = await market.history_flags(SINCE)
            assert (flag.symbol, flag.session, flag.excludes) == ("NSE:ALPHA", EX, True)
            assert flag.reason == "QUANTUM RESHUFFLE 3 INTO 2: a purpose that vcpd does not know"
        (tmp_path / "actions").mkdir(exist_ok=True)
        own = tmp_path / "actions" / "my-actions.csv"
        own.write_text(f"SYMBOL,EX-DATE,PURPOSE\nALPHA,{EX},Factor 0.6\n")
        async with web_client(server.root, tmp_path, clock) as market:
            await market.daily_bars(share("ALPHA"), publisher.sessions[0], LAST)
            assert (await known_factors(market))["ALPHA", EX] == 0.6


async def test_an_action_that_the_prices_contradict_is_flagged(publisher: Publisher, tmp_path: Path) -> None:
    rows: Sequence[Row] = (*PUBLISHED_ROWS, ("EQ", "ALPHA", EX, "BONUS 1:1"))
    async with serving(archive_files(publisher, rows)) as server, web_client(server.root, tmp_path) as market:
        await market.daily_bars(share("ALPHA"), publisher.sessions[0], LAST)
        (flag,) = await market.history_flags(SINCE)
    assert flag.symbol == "NSE:ALPHA"
    assert flag.reason.startswith("BONUS 1:1: the price did not move like this")


async def test_the_symbol_of_a_report_is_the_one_of_its_day(publisher: Publisher, tmp_path: Path) -> None:
    """OLDNAME's bonus of July reaches NEWNAME; one listed under the old name in August reaches nobody."""
    july, august = date(2024, 7, 18), date(2024, 8, 27)
    rows: Sequence[Row] = (
        *PUBLISHED_ROWS,
        ("EQ", "OLDNAME", july, "BONUS 1:9"),
        ("EQ", "OLDNAME", august, "BONUS 1:9"),
    )
    async with serving(archive_files(publisher, rows)) as server, web_client(server.root, tmp_path) as market:
        found = await market.daily_bars(share("NEWNAME"), publisher.sessions[0], LAST)
    truth = next(entry for entry in publisher.shares if entry.symbol == "NEWNAME").truth[:, 3]
    before = found.sessions < np.datetime64(july, "D")
    np.testing.assert_allclose(found.close[~before], truth[~before], atol=0.0051)
    np.testing.assert_allclose(found.close[before], 0.9 * truth[before], atol=0.0051)


async def test_a_folder_of_loose_members_serves_as_well(publisher: Publisher, tmp_path: Path) -> None:
    folder = publisher.publish(tmp_path / "bulletins")
    (folder / "CF-CA-equities-01-01-2024-to-31-12-2024.csv").unlink()
    for day in publisher.sessions:
        (folder / report_file(day).name).write_bytes(report(day, rows_of(PUBLISHED_ROWS, day)))
    async with folder_client(folder, tmp_path / "door") as market:
        factors = await known_factors(market)
    assert factors == {("BETA", date(2024, 7, 15)): 0.2, ("GAMMA", date(2024, 8, 5)): 0.5}


async def test_without_reports_and_with_the_site_refusing_nothing_goes_on(
    publisher: Publisher, tmp_path: Path
) -> None:
    async with serving(dict(publisher.files())) as server:
        server.faults["api/2024"] = [answer(403)] * 9
        url = f"{server.root}/api/{{first:%Y}}"
        async with web_client(server.root, tmp_path, actions_url=url) as market:
            with pytest.raises(RetryableError, match=r"no list of corporate actions: .*403"):
                await market.daily_bars(share("BETA"), publisher.sessions[0], LAST)


def test_every_real_event_is_listed_by_the_reports_of_its_days() -> None:
    events = real_events()
    sessions: list[date] = NSE.sessions(date(2025, 9, 20), date(2025, 10, 20)).tolist()
    eras = {path[-12:] for path, _ in event_reports(events, sessions)}
    assert len(eras) == len(sessions)


async def test_five_years_of_real_bars_load_with_all_actions_while_the_site_refuses(tmp_path: Path) -> None:
    first, last = date(2020, 1, 1), date(2025, 6, 30)
    events = [event for event in real_events() if first < event.ex_date <= last]
    truths = real_histories(frozenset(sorted({event.symbol for event in events})[:24]))
    own = {symbol: [event for event in events if event.symbol == symbol] for symbol in truths}
    raw = {symbol: unadjusted(truth, own[symbol]) for symbol, truth in truths.items()}
    sessions: list[date] = NSE.sessions(date(2019, 12, 16), last).tolist()
    files = dict(daily_files(raw, sessions[sessions.index(date(2020, 1, 1)) :]))
    files |= dict(event_reports(events, sessions))
    async with serving(files) as server:
        url = f"{server.root}/api/{{first:%Y}}"
        async with web_client(server.root, tmp_path, evening(last), actions_url=url) as market:
            listed = {instrument.symbol: instrument for instrument in await market.instruments()}
            applied = 0
            for symbol, truth in truths.items():
                if f"NSE:{symbol}" not in listed:
                    continue
                found = await market.daily_bars(listed[f"NSE:{symbol}"], first, last)
                np.testing.assert_allclose(found.close, truth.close, rtol=1e-5)
                applied += len(own[symbol])
            flags = {flag.symbol for flag in await market.history_flags(first)}
    assert applied >= 8
    assert flags == set()
    assert not any(path.startswith("api") for path in server.requested)
