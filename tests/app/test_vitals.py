"""What is measured every few seconds, when the store keeps silent."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from tests.runtime.test_workers import until
from vcpd.app import vitals
from vcpd.app.parts import Parts
from vcpd.app.vitals import Vitals
from vcpd.domain.errors import RetryableError
from vcpd.runtime.clock import WallClock


class Store:
    """Answers, fails, or keeps silent even when it is called off."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer = asyncio.Event()
        self.error: RetryableError | None = None

    async def ping(self) -> float:
        self.asked += 1
        while not self.answer.is_set():
            try:
                await self.answer.wait()
            except asyncio.CancelledError:
                continue
        if self.error is not None:
            raise self.error
        return 0.001


async def test_a_silent_store_is_told_of_and_not_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Health names it while it lasts; one question stays open, not one more at every measuring."""
    monkeypatch.setattr(vitals, "ANSWER_WITHIN_S", 0.05)
    monkeypatch.setattr(vitals, "state_folder", lambda _parts: tmp_path)
    store = Store()

    async def ask(self: Vitals, _parts: Parts) -> None:
        self.ping_s = await store.ping()

    monkeypatch.setattr(Vitals, "_ask_store", ask)
    parts = cast(
        "Parts",
        SimpleNamespace(
            system=None,
            scheduler=SimpleNamespace(snapshot=lambda: SimpleNamespace(jobs=())),
            clock=WallClock(),
        ),
    )
    measured = Vitals(WallClock().now())
    for _ in range(3):
        await measured.measure(parts)
        assert measured.database_trouble == "no answer within 0 s"
    assert store.asked == 1
    store.answer.set()
    await until(lambda: measured._asking is not None and measured._asking.done())
    await measured.measure(parts)
    assert (measured.database_trouble, measured.ping_s) == (None, 0.001)
    store.error = RetryableError("away")
    await measured.measure(parts)
    assert (measured.database_trouble, measured.ping_s) == ("away", None)
