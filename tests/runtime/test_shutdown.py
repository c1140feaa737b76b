"""Stopping: closed in reverse whatever fails."""

import asyncio

from vcpd.runtime.lifecycle import ShutdownStack


async def test_all_is_closed_in_reverse_though_one_fails_and_one_hangs() -> None:
    closed: list[str] = []
    closing = ShutdownStack()

    async def close(name: str) -> None:
        closed.append(name)
        if name == "fails":
            raise OSError("no")
        if name == "hangs":
            await asyncio.Event().wait()

    for name in ("database", "fails", "hangs", "port"):
        closing.push(name, lambda name=name: close(name), 0.05)  # type: ignore[misc]
    steps: list[str] = []
    failed = await closing.close(lambda name, _deadline_s: steps.append(name))
    assert closed == steps == ["port", "hangs", "fails", "database"]
    assert failed == ["hangs", "fails"]
    assert await closing.close(lambda *_: None) == []
