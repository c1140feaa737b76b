"""How rows are cut into pieces and culprits isolated, with any rows, any chunk size and any culprits."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from vcpd.domain.runs import Progress
from vcpd.runtime.chunked_map import MIN_TIMEOUT_S, Chunk, ChunkedMap, ChunkFailedError, split_rows


@given(st.integers(0, 300), st.integers(0, 50), st.integers(1, 80))
def test_cut_keeps_every_row_once_and_in_order(n_rows: int, first: int, size: int) -> None:
    rows = range(first, first + n_rows)
    pieces = split_rows(rows, size)
    assert [row for piece in pieces for row in piece] == list(rows)
    assert all(0 < len(piece) <= size for piece in pieces)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 200), st.integers(1, 70), st.sets(st.integers(0, 199), max_size=5), st.integers(1, 4))
def test_exactly_the_culprits_are_given_up(n_rows: int, chunk: int, deadly: set[int], n_lanes: int) -> None:
    """Every other row has its result, and progress reaches the total whatever happened on the way."""
    progress = Progress()
    mapping: ChunkedMap[list[int]] = ChunkedMap(range(n_rows), chunk, 10.0, progress)

    async def run(piece: Chunk, timeout_s: float) -> list[int]:
        await asyncio.sleep(0)
        if deadly & set(piece.rows):
            raise ChunkFailedError("died")
        return list(piece.rows)

    async def main() -> None:
        await asyncio.gather(*(mapping.process(run, len(deadly)) for _ in range(n_lanes)))

    asyncio.run(main())
    culprits = {row for row in deadly if row < n_rows}
    assert {row.row for row in mapping.failed_rows} == culprits
    assert [row for part in mapping.results for row in part] == [
        r for r in range(n_rows) if r not in culprits
    ]
    assert progress.done == n_rows


async def test_a_row_that_fails_once_is_not_blamed() -> None:
    """A single row gets a second try, because the first death may have been another's doing."""
    mapping: ChunkedMap[str] = ChunkedMap(range(1), 1, 10.0, None)
    tries: list[bool] = []

    async def run(piece: Chunk, timeout_s: float) -> str:
        tries.append(piece.suspect)
        if len(tries) == 1:
            raise ChunkFailedError("chance")
        return "fine"

    await mapping.process(run, 0)
    assert mapping.results == ["fine"]
    assert tries == [False, True]


async def test_suspects_get_their_share_of_the_time() -> None:
    """An endless row in a chunk of 64 must not cost the whole timeout in each round."""
    mapping: ChunkedMap[int] = ChunkedMap(range(64), 64, 120.0, None)
    seen: dict[int, float] = {}

    async def run(piece: Chunk, timeout_s: float) -> int:
        seen[len(piece.rows)] = timeout_s
        if 63 in piece.rows:
            raise ChunkFailedError("endless")
        return 0

    await mapping.process(run, 1)
    assert seen == {64: 120.0, 8: 15.0, 1: MIN_TIMEOUT_S}


async def test_too_many_failures_end_the_work_early() -> None:
    mapping: ChunkedMap[int] = ChunkedMap(range(1_000), 1, 10.0, None)
    tries = 0

    async def run(piece: Chunk, timeout_s: float) -> int:
        nonlocal tries
        tries += 1
        raise ChunkFailedError("always")

    await mapping.process(run, 3)
    assert len(mapping.failed_rows) == 4
    assert tries == 8
