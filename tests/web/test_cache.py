"""Answers are kept while they are true, and no longer."""

import asyncio
import gzip
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from tests.fakes.web import SESSION, FakeRuns, FakeSetups, setup, sources
from tests.web.client import asking
from vcpd.domain.runs import Outcome, Run
from vcpd.domain.setups import Setup
from vcpd.web import cache
from vcpd.web.cache import encoded_body
from vcpd.web.responses import encode_json


class CountedSetups(FakeSetups):
    requested = 0

    async def for_session(self, session: date | None = None) -> tuple[date | None, Sequence[Setup]]:
        self.requested += 1
        await asyncio.sleep(0)
        return await super().for_session(session)


class MovingRuns(FakeRuns):
    number = 1

    async def latest(self) -> Mapping[str, Run]:
        run = Run(self.number, "screen", datetime(2025, 6, 30, tzinfo=UTC), SESSION, outcome=Outcome.DONE)
        return {"screen": run}


async def test_the_store_is_asked_once_however_many_ask() -> None:
    setups = CountedSetups([setup(f"NSE:S{n}") for n in range(30)])
    async with asking(replace(sources(), setups=setups)) as client:
        answers = await asyncio.gather(*(client.get("/api/setups?limit=5") for _ in range(20)))
        await client.get("/api/setups?sort=symbol")
        assert {answer.status for answer in answers} == {200}
        assert setups.requested == 1


async def test_a_run_that_ends_makes_all_answers_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "POLL_INTERVAL_S", 0.0)
    runs, setups = MovingRuns(), CountedSetups([setup("NSE:AAA")])
    async with asking(replace(sources(), setups=setups, runs=runs)) as client:
        assert (await (await client.get("/api/setups")).json())["count"] == 1
        setups.setups = [setup("NSE:AAA"), setup("NSE:BBB")]
        assert (await (await client.get("/api/setups")).json())["count"] == 1
        runs.number = 2
        assert (await (await client.get("/api/setups")).json())["count"] == 2


async def test_a_finished_run_makes_the_next_answer_new_at_once() -> None:
    """However short the last look at the store is ago."""
    runs, setups = MovingRuns(), CountedSetups([setup("NSE:AAA")])
    given = replace(sources(), setups=setups, runs=runs)
    async with asking(given) as client:
        assert (await (await client.get("/api/setups")).json())["count"] == 1
        setups.setups, runs.number = [setup("NSE:AAA"), setup("NSE:BBB")], 2
        assert (await (await client.get("/api/setups")).json())["count"] == 1, "looked at a moment ago"
        given.on_run_finished((await runs.latest())["screen"])
        assert (await (await client.get("/api/setups")).json())["count"] == 2


async def test_a_run_that_finishes_during_the_look_at_the_store_is_not_missed() -> None:
    """What the store answered may be older than the call."""

    class SlowRuns(MovingRuns):
        asked = 0

        async def latest(self) -> Mapping[str, Run]:
            self.asked += 1
            answer = await super().latest()
            if self.asked == 1:
                self.number = 2
                version.invalidate()
            return answer

    runs = SlowRuns()
    version = cache.DataVersion(runs)
    first = await version.now()
    assert await version.now() == first + 1
    assert await version.now() == first + 1
    assert runs.asked == 2


async def test_who_has_the_answer_is_not_sent_it_again() -> None:
    async with asking(sources([setup("NSE:AAA")])) as client:
        first = await client.get("/api/setups")
        again = await client.get("/api/setups", headers={"If-None-Match": first.headers["ETag"]})
        assert (again.status, await again.read()) == (304, b"")
        other = await client.get("/api/setups?all=1&sort=close", headers={"If-None-Match": '"other"'})
        assert other.status == 200


async def test_long_answers_come_packed_to_those_who_can_unpack() -> None:
    async with asking(sources([setup(f"NSE:S{n}") for n in range(30)])) as client:
        packed = await client.get("/api/setups", headers={"Accept-Encoding": "gzip"})
        plain = await client.get("/api/setups", headers={"Accept-Encoding": "identity"})
        assert packed.headers["Content-Encoding"] == "gzip"
        assert "Content-Encoding" not in plain.headers
        assert await packed.json() == await plain.json()


async def test_the_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MAX_RESPONSES", 3)
    given = sources([setup("NSE:AAA")])
    async with asking(given) as client:
        for n in range(1, 9):
            await client.get(f"/api/setups?limit={n}")
        assert len(given.cache._bodies) == 3
        assert given.cache._size == sum(body.size for body in given.cache._bodies.values())


async def test_a_refused_question_is_not_kept() -> None:
    given = sources([setup("NSE:AAA")])
    async with asking(given) as client:
        assert (await client.get("/api/setups?state=HAPPY")).status == 400
        assert len(given.cache._bodies) == 0


async def test_a_list_encoded_in_turns_is_the_list_encoded_at_once() -> None:
    import msgspec  # noqa: PLC0415 - beside its only use

    value = {"as_of": SESSION, "count": 450, "items": [setup(f"NSE:S{n}") for n in range(450)]}
    assert msgspec.json.decode(await encode_json(value)) == msgspec.json.decode(msgspec.json.encode(value))
    assert msgspec.json.decode(await encode_json({"items": list(range(450))})) == {"items": list(range(450))}


def test_packing_loses_nothing_and_short_bodies_stay_as_they_are() -> None:
    long = encoded_body(b"abc" * 1_000)
    assert long.gzipped is not None
    assert gzip.decompress(long.gzipped) == long.plain
    assert encoded_body(b"abc").gzipped is None
