"""The market made of bulletins, against the truth that its press printed."""

from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from tests.bhavcopy.clients import folder_client
from tests.bhavcopy.publisher import FIRST, LAST, Publisher, Share, small_market
from tests.fakes.clock import FakeClock, Sleep
from vcpd.bhavcopy.archive import index_file, udiff_file
from vcpd.bhavcopy.client import BhavcopyClient
from vcpd.core.errors import NotPublishedYetError, PermanentError, RetryableError
from vcpd.domain.bars import BarSeries
from vcpd.domain.instruments import Instrument


@pytest.fixture(scope="module")
def publisher() -> Publisher:
    return small_market()


@pytest.fixture(scope="module")
def published(publisher: Publisher, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publisher.publish(tmp_path_factory.mktemp("bulletins"))


@pytest.fixture
async def market(published: Path, tmp_path: Path) -> AsyncIterator[BhavcopyClient]:
    async with folder_client(published, tmp_path) as opened:
        yield opened


def share(publisher: Publisher, symbol: str) -> Share:
    return next(entry for entry in publisher.shares if entry.symbol == symbol)


def instrument(symbol: str, series: str = "EQ", segment: str = "NSE") -> Instrument:
    return Instrument(f"NSE:{symbol}", 1, series=series, segment=segment)


def assert_true(publisher: Publisher, reported: BarSeries, truth: Share) -> None:
    """The bars are the truth, up to the paisa that was printed (in the shares of its time)."""
    present = [at for at, session in enumerate(publisher.sessions) if session not in truth.idle]
    assert reported.sessions.tolist() == [publisher.sessions[at] for at in present]
    for at, name in enumerate(("open", "high", "low", "close")):
        np.testing.assert_allclose(reported.records[name], truth.truth[present, at], atol=0.0051)
    np.testing.assert_allclose(reported.volume, truth.truth[present, 4])


@pytest.mark.parametrize("symbol", ["ALPHA", "BETA", "GAMMA", "NEWNAME", "SMALL", "BAJAJ-AUTO"])
async def test_a_history_is_reported_through_layouts_splits_bonuses_and_names(
    publisher: Publisher, market: BhavcopyClient, symbol: str
) -> None:
    truth = share(publisher, symbol)
    listed = {entry.symbol: entry for entry in await market.instruments()}
    name = symbol if truth.series == "EQ" else f"{symbol}-{truth.series}"
    reported = await market.daily_bars(listed[f"NSE:{name}"], FIRST, LAST)
    assert_true(publisher, reported, truth)
    assert not reported.provisional.any()


async def test_a_move_between_series_keeps_the_history(publisher: Publisher, market: BhavcopyClient) -> None:
    listed = {entry.symbol: entry for entry in await market.instruments()}
    moved = listed["NSE:DELTA-BE"]
    assert moved.series == "BE"
    assert "NSE:DELTA" not in listed
    assert_true(publisher, await market.daily_bars(moved, FIRST, LAST), share(publisher, "DELTA"))


async def test_the_list_names_today_s_shares_and_indices_once(market: BhavcopyClient) -> None:
    listed = await market.instruments()
    names = [entry.symbol for entry in listed]
    assert names == sorted(set(names))
    assert {"NSE:NEWNAME", "NSE:NIFTY 50", "NSE:NIFTY 500", "NSE:SMALL-SM"} < set(names)
    assert "NSE:OLDNAME" not in names
    assert not any("GS20" in name for name in names)
    nifty = next(entry for entry in listed if entry.symbol == "NSE:NIFTY 50")
    assert nifty.is_index
    assert next(entry for entry in listed if entry.symbol == "NSE:ALPHA").name == "ALPHA, LIMITED"


async def test_an_index_comes_from_the_indices_own_file(publisher: Publisher, market: BhavcopyClient) -> None:
    reported = await market.daily_bars(instrument("NIFTY 500", "INDEX", "INDICES"), FIRST, LAST)
    np.testing.assert_allclose(reported.close, publisher.indices["Nifty 500"][:, 3], atol=0.0051)
    assert len(reported) == len(publisher.sessions)


async def test_the_token_stays_through_a_rename_and_a_move(published: Path, tmp_path: Path) -> None:
    """A store that follows the list by token sees one share before and after."""
    tokens = {}
    for number, evening in enumerate(("2024-07-19", "2024-08-30")):
        clock = FakeClock(datetime.fromisoformat(f"{evening}T20:00:00+05:30"), Sleep.RETURNS)
        async with folder_client(published, tmp_path / str(number), clock) as market:
            tokens[evening] = {entry.symbol: entry.token for entry in await market.instruments()}
    before, after = tokens.values()
    assert before["NSE:OLDNAME"] == after["NSE:NEWNAME"]
    assert before["NSE:DELTA"] == after["NSE:DELTA-BE"]
    assert before["NSE:NIFTY 50"] == after["NSE:NIFTY 50"]


async def test_quotes_are_the_last_session_unadjusted(publisher: Publisher, market: BhavcopyClient) -> None:
    quotes = await market.quotes(["NSE:ALPHA", "NSE:DELTA-BE", "NSE:NIFTY 50", "NSE:NOBODY", "BSE:ALPHA"])
    assert set(quotes) == {"NSE:ALPHA", "NSE:DELTA-BE", "NSE:NIFTY 50"}
    alpha = quotes["NSE:ALPHA"]
    truth = share(publisher, "ALPHA").truth
    assert alpha.at == "2024-08-30 15:30:00"
    assert alpha.last_price == pytest.approx(truth[-1, 3], abs=0.0051)
    assert alpha.previous_close == pytest.approx(truth[-2, 3], abs=0.0051)
    assert alpha.volume == truth[-1, 4]


async def test_before_the_ex_date_nothing_is_adjusted(
    publisher: Publisher, published: Path, tmp_path: Path
) -> None:
    """On the eve the bonus is already listed; in the morning of the ex-date older bars are halved."""
    closes = {}
    for name, at in (("eve", "2024-08-02T20:00:00+05:30"), ("morning", "2024-08-05T08:20:00+05:30")):
        async with folder_client(
            published, tmp_path / name, FakeClock(datetime.fromisoformat(at), Sleep.RETURNS)
        ) as market:
            closes[name] = (await market.daily_bars(instrument("GAMMA"), FIRST, date(2024, 8, 2))).close
    np.testing.assert_allclose(closes["eve"], 2 * closes["morning"])


async def test_a_daily_file_that_may_still_come_is_waited_for(
    published: Path, tmp_path: Path, publisher: Publisher
) -> None:
    """A session without bulletin is not told of, so that nobody takes it for a day without trade."""
    session = date(2024, 9, 2)
    clock = FakeClock(datetime.fromisoformat("2024-09-02T16:00:00+05:30"), Sleep.RETURNS)
    async with folder_client(published, tmp_path / "door", clock) as market:
        with pytest.raises(NotPublishedYetError, match="2024-09-02 is not in the archive yet"):
            await market.quotes(["NSE:ALPHA"])
        with pytest.raises(RetryableError, match="2024-09-02"):
            await market.daily_bars(instrument("ALPHA"), FIRST, session)
        assert len(await market.daily_bars(instrument("ALPHA"), FIRST, LAST)) == len(publisher.sessions)
        assert "NSE:ALPHA" in {entry.symbol for entry in await market.instruments()}


@pytest.mark.parametrize(
    ("at", "error"),
    [
        ("2024-09-02T19:55:00+05:30", NotPublishedYetError),  # both looks at the day are over
        ("2024-09-02T20:30:00+05:30", RetryableError),
        ("2024-09-03T18:00:00+05:30", RetryableError),  # yesterday's file is missing too
    ],
)
async def test_a_file_that_is_late_is_a_failure(
    published: Path, tmp_path: Path, at: str, error: type[RetryableError]
) -> None:
    """Until the evening it may still be published, or the day be shown to be a holiday."""
    clock = FakeClock(datetime.fromisoformat(at), Sleep.RETURNS)
    async with folder_client(published, tmp_path / "door", clock) as market:
        with pytest.raises(RetryableError, match="is not in the archive yet") as caught:
            await market.daily_bars(instrument("ALPHA"), FIRST, date(2024, 9, 3))
    assert type(caught.value) is error


async def test_a_session_that_runs_has_no_bar(published: Path, tmp_path: Path) -> None:
    clock = FakeClock(datetime.fromisoformat("2024-08-30T11:00:00+05:30"), Sleep.RETURNS)
    async with folder_client(published, tmp_path, clock) as market:
        reported = await market.daily_bars(instrument("ALPHA"), FIRST, LAST)
    assert reported.last_session == date(2024, 8, 29)


async def test_a_daily_file_missing_for_long_is_a_hole_not_a_wall(
    publisher: Publisher, tmp_path: Path
) -> None:
    folder = publisher.publish(tmp_path / "bulletins")
    lost = date(2024, 7, 30)
    (folder / udiff_file(lost).path).unlink()
    (folder / index_file(date(2024, 7, 31)).path).unlink()
    async with folder_client(folder, tmp_path / "door") as market:
        shares = await market.daily_bars(instrument("ALPHA"), FIRST, LAST)
        index = await market.daily_bars(instrument("NIFTY 50", "INDEX", "INDICES"), FIRST, LAST)
    assert len(shares) == len(publisher.sessions) - 1
    assert lost not in shares.sessions.tolist()
    assert len(index) == len(publisher.sessions) - 2


async def test_an_unexpected_holiday_is_a_wall_for_one_evening_only(
    publisher: Publisher, tmp_path: Path
) -> None:
    """Nobody published a bulletin of the 29th: once the 30th is there, nothing waits for the day before."""
    folder = publisher.publish(tmp_path / "bulletins")
    closed, after = date(2024, 8, 29), date(2024, 8, 30)
    lost = [folder / udiff_file(closed).path, folder / index_file(closed).path]
    later = [folder / udiff_file(after).path, folder / index_file(after).path]
    kept = {path: path.read_bytes() for path in later}
    for path in (*lost, *later):
        path.unlink()
    clock = FakeClock(datetime.fromisoformat("2024-08-29T21:00:00+05:30"), Sleep.RETURNS)
    async with folder_client(folder, tmp_path / "door", clock) as market:
        with pytest.raises(RetryableError, match="2024-08-29 is not in the archive yet"):
            await market.daily_bars(instrument("ALPHA"), FIRST, closed)
        for path, content in kept.items():
            path.write_bytes(content)
        clock.at += timedelta(days=1)
        assert "NSE:ALPHA" in await market.quotes(["NSE:ALPHA"])
        reported = await market.daily_bars(instrument("ALPHA"), FIRST, after)
    assert reported.last_session == after
    assert closed not in reported.sessions.tolist()


async def test_index_values_that_never_came_do_not_keep_shares_away(
    publisher: Publisher, tmp_path: Path
) -> None:
    """The last session waits for its index file; an earlier one does without it."""
    folder = publisher.publish(tmp_path / "bulletins")
    (folder / index_file(date(2024, 8, 29)).path).unlink()
    async with folder_client(folder, tmp_path / "door") as market:
        shares = await market.daily_bars(instrument("ALPHA"), FIRST, LAST)
        index = await market.daily_bars(instrument("NIFTY 50", "INDEX", "INDICES"), FIRST, LAST)
    assert len(shares) == len(publisher.sessions)
    assert len(index) == len(publisher.sessions) - 1


async def test_without_a_list_of_actions_nothing_is_reported(publisher: Publisher, tmp_path: Path) -> None:
    """Unadjusted prices would be taken for crashes: only an explicit setting gives them."""
    folder = publisher.publish(tmp_path / "bulletins")
    next(folder.glob("CF-CA*")).unlink()
    async with folder_client(folder, tmp_path / "door") as market:
        with pytest.raises(PermanentError, match=r"adjust = false"):
            await market.daily_bars(instrument("BETA"), FIRST, LAST)
    async with folder_client(folder, tmp_path / "door", adjust=False) as market:
        raw = (await market.daily_bars(instrument("BETA"), FIRST, LAST)).close
    steps = raw[1:] / raw[:-1]
    assert steps.min() == pytest.approx(0.2, rel=0.1)


async def test_a_damaged_file_of_the_owner_s_folder_is_named(publisher: Publisher, tmp_path: Path) -> None:
    folder = publisher.publish(tmp_path / "bulletins")
    (folder / udiff_file(LAST).path).write_bytes(b"<html>Access denied</html>")
    async with folder_client(folder, tmp_path / "door") as market:
        with pytest.raises(RetryableError, match="2024-08-30"):
            await market.daily_bars(instrument("ALPHA"), FIRST, LAST)
        assert len(await market.daily_bars(instrument("ALPHA"), FIRST, date(2024, 8, 29)))
    assert (folder / udiff_file(LAST).path).exists()
