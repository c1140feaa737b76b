"""Each kind of fault reaches a client as in real life, and which request it hits can be repeated."""

import asyncio
import gzip
import time

import aiohttp
import msgspec
import pytest

from tests.sandbox.clients import WIDE, sandbox_client
from tests.sandbox.conftest import Start
from vcpd.sandbox.faults import FaultSelector
from vcpd.sandbox.settings import FaultKind, FaultSettings

HISTORY = "/instruments/historical/256265/day?from=2024-07-13&to=2026-07-15"


def always(kind: FaultKind, **changes: object) -> FaultSettings:
    """Faults of one kind on every request to candles and quotes."""
    settings = FaultSettings(rate=1.0, kinds=(kind,), hang_s=0.3, drip_s=0.3)
    return msgspec.structs.replace(settings, **changes)


@pytest.mark.parametrize(
    ("kind", "status", "error_type"),
    [
        (FaultKind.TOO_MANY, 429, "NetworkException"),
        (FaultKind.SERVER_ERROR, 500, "GeneralException"),
        (FaultKind.BAD_GATEWAY, 502, "DataException"),
        (FaultKind.UNAVAILABLE, 503, "NetworkException"),
        (FaultKind.TOKEN_EXPIRY, 403, "TokenException"),
    ],
)
async def test_error_faults_are_the_vendors_errors(
    start: Start, kind: FaultKind, status: int, error_type: str
) -> None:
    """Status and error type are those of the vendor's table."""
    async with sandbox_client((await start(limits=WIDE, faults=always(kind))).url) as kite:
        assert await kite.error(HISTORY) == (status, error_type)


async def test_a_dropped_connection_breaks_the_body(start: Start) -> None:
    """The headers promise more than comes."""
    async with sandbox_client((await start(limits=WIDE, faults=always(FaultKind.DROP))).url) as kite:
        with pytest.raises(aiohttp.ClientPayloadError):
            await kite.get(HISTORY)


async def test_a_hanging_request_ends_without_an_answer(start: Start) -> None:
    """Nothing comes for the set time, then the connection is closed."""
    async with sandbox_client((await start(limits=WIDE, faults=always(FaultKind.HANG))).url) as kite:
        begun = time.monotonic()
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await kite.get(HISTORY)
        assert time.monotonic() - begun >= 0.3


async def test_a_dripping_answer_is_whole_but_late(start: Start) -> None:
    """All bytes come, spread over the set time."""
    sandbox = await start(limits=WIDE)
    async with sandbox_client(sandbox.url) as kite:
        at_once = await kite.data(HISTORY)
        await kite.post("/sandbox/faults", always(FaultKind.DRIP))
        begun = time.monotonic()
        assert await kite.data(HISTORY) == at_once
        assert time.monotonic() - begun >= 0.25


async def test_truncated_gzip_cannot_be_unpacked(start: Start) -> None:
    """The body says gzip and ends in the middle of it."""
    async with sandbox_client(
        (await start(limits=WIDE, faults=always(FaultKind.TRUNCATED_GZIP))).url
    ) as kite:
        for path in (HISTORY, "/instruments/NSE"):
            _, body = await kite.get(path)
            with pytest.raises(EOFError):
                gzip.decompress(body)


async def test_html_comes_instead_of_json(start: Start) -> None:
    """Status 200 and a page of HTML."""
    async with sandbox_client((await start(limits=WIDE, faults=always(FaultKind.HTML))).url) as kite:
        status, body = await kite.get(HISTORY)
        assert status == 200
        assert body.startswith(b"<html>")


@pytest.mark.parametrize("kind", [FaultKind.MISSING_KEY, FaultKind.OTHER_TYPE])
@pytest.mark.parametrize("path", [HISTORY, "/quote?i=NSE:NIFTY+50", "/instruments/NSE"])
async def test_answers_lose_keys_or_change_types(start: Start, kind: FaultKind, path: str) -> None:
    """Ten answers in a row differ from the sound one in each case."""
    sandbox = await start(limits=WIDE)
    async with sandbox_client(sandbox.url) as kite:
        _, sound = await kite.get(path)
        await kite.post("/sandbox/faults", always(kind))
        for _ in range(10):
            status, body = await kite.get(path)
            assert status == 200
            assert body != sound


async def test_faults_hit_only_their_paths_and_can_be_switched_off(start: Start) -> None:
    """Login works under any faults; an empty object ends them; unknown names are refused."""
    sandbox = await start(limits=WIDE, faults=always(FaultKind.SERVER_ERROR))
    async with sandbox_client(sandbox.url) as kite:
        assert (await kite.get(HISTORY))[0] == 500
        assert (await kite.data("/sandbox/statistics"))["faults"] == {"server_error": 1}
        assert (await kite.data("/sandbox/faults"))["kinds"] == ["server_error"]
        assert await kite.post("/sandbox/faults", {"rate": 2}) == 400
        assert await kite.post("/sandbox/faults", {"colour": "red"}) == 400
        assert await kite.post("/sandbox/faults", {}) == 200
        assert (await kite.get(HISTORY))[0] == 200


async def test_vanished_symbols_are_nowhere(start: Start) -> None:
    """The list, candles and quotes forget the symbol and remember it when the fault is taken back."""
    sandbox = await start(limits=WIDE)
    async with sandbox_client(sandbox.url) as kite:
        await kite.post("/sandbox/faults", FaultSettings(hidden_symbols=("NSE:NIFTY 50",)))
        assert b"NIFTY 50," not in (await kite.get("/instruments/NSE"))[1]
        assert await kite.error(HISTORY) == (400, "InputException")
        assert list(await kite.data("/quote?i=NSE:NIFTY+50&i=NSE:NIFTY+500")) == ["NSE:NIFTY 500"]
        await kite.post("/sandbox/faults", FaultSettings())
        assert b"NIFTY 50," in (await kite.get("/instruments/NSE"))[1]


async def test_a_locked_share_stands_at_its_upper_circuit_without_sellers(start: Start) -> None:
    """Quotes only; the others keep their limits and their order books."""
    sandbox = await start(limits=WIDE)
    async with sandbox_client(sandbox.url) as kite:
        await kite.post("/sandbox/faults", FaultSettings(locked_symbols=("NSE:NIFTY 50",)))
        locked, other = (await kite.data("/quote?i=NSE:NIFTY+50&i=NSE:NIFTY+500")).values()
        assert locked["upper_circuit_limit"] == locked["last_price"] < other["upper_circuit_limit"]
        assert (locked["sell_quantity"], other["sell_quantity"] > 0) == (0, True)
        assert {level["quantity"] for level in locked["depth"]["sell"]} == {0}
        assert all(level["quantity"] for level in (*locked["depth"]["buy"], *other["depth"]["sell"]))


async def test_a_restatement_divides_the_whole_history(start: Start) -> None:
    """With ratio 5 every price is a fifth, on its tick, and quotes follow."""
    sandbox = await start(limits=WIDE)
    async with sandbox_client(sandbox.url) as kite:
        before = (await kite.data(HISTORY))["candles"]
        quote_before = (await kite.data("/quote?i=NSE:NIFTY+50"))["NSE:NIFTY 50"]
        await kite.post("/sandbox/faults", FaultSettings(split_ratios={"NSE:NIFTY 50": 5.0}))
        after = (await kite.data(HISTORY))["candles"]
        quote_after = (await kite.data("/quote?i=NSE:NIFTY+50"))["NSE:NIFTY 50"]
    assert len(after) == len(before)
    assert max(abs(old[4] / 5 - new[4]) for old, new in zip(before, after, strict=True)) <= 0.026
    assert quote_after["last_price"] == pytest.approx(quote_before["last_price"] / 5, abs=0.026)


def test_fate_depends_on_seed_and_count_alone() -> None:
    """Two runs meet the same faults at the same requests; another seed meets others; the rate holds."""
    settings = FaultSettings(rate=0.2, seed=4)
    runs = [
        [drawn and drawn[0] for drawn in (faults.next_fault("/quote") for _ in range(500))]
        for faults in (
            FaultSelector(settings),
            FaultSelector(settings),
            FaultSelector(msgspec.structs.replace(settings, seed=5)),
        )
    ]
    assert runs[0] == runs[1] != runs[2]
    assert 70 <= sum(kind is not None for kind in runs[0]) <= 130
    assert {kind for kind in runs[0] if kind is not None} == set(FaultKind)


async def test_closing_lets_hanging_requests_go(start: Start) -> None:
    """An exchange that holds a request for an hour still closes within two seconds."""
    sandbox = await start(limits=WIDE, faults=always(FaultKind.HANG, hang_s=3600.0))
    async with sandbox_client(sandbox.url) as kite:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(kite.get(HISTORY), 0.3)
        begun = time.monotonic()
        await sandbox.close()
        assert time.monotonic() - begun < 2.0
