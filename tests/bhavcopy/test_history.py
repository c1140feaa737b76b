"""The table on disk: the same however it came together, and never half of anything."""

from datetime import date
from pathlib import Path
from tempfile import mkdtemp

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.bhavcopy.publisher import Publisher, small_market
from vcpd.bhavcopy.archive import index_file
from vcpd.bhavcopy.history import BarHistory, IngestItem, ingest_files, open_history
from vcpd.core.errors import UnavailableError

SESSIONS = small_market().sessions[20:32]  # across the change of layouts, a split, an idle share


@pytest.fixture(scope="module")
def publisher() -> Publisher:
    return small_market()


@pytest.fixture(scope="module")
def published(publisher: Publisher, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publisher.publish(tmp_path_factory.mktemp("bulletins"))


def order(publisher: Publisher, published: Path, session: date, layout: str = "") -> IngestItem:
    path, body = publisher.daily_file(session, layout or publisher.layout_of(session))
    (published / path).parent.mkdir(parents=True, exist_ok=True)
    (published / path).write_bytes(body)
    return IngestItem(session, str(published / path), str(published / index_file(session).path))


def contents(history: BarHistory) -> tuple[object, ...]:
    head = history.index
    lives = {(live.symbol, live.isin): live for live in head.lives}
    return head.symbols, head.starts, head.sessions, lives, history.records.tobytes()


@pytest.fixture(scope="module")
def whole(publisher: Publisher, published: Path, tmp_path_factory: pytest.TempPathFactory) -> BarHistory:
    folder = tmp_path_factory.mktemp("whole")
    assert ingest_files(str(folder), [order(publisher, published, session) for session in SESSIONS]) == ()
    return open_history(folder)


@settings(max_examples=12, deadline=None)
@given(st.permutations(range(len(SESSIONS))), st.integers(1, 5))
def test_any_order_and_any_batches_make_the_same_table(
    publisher: Publisher, published: Path, whole: BarHistory, numbers: list[int], size: int
) -> None:
    folder = Path(mkdtemp(dir=published))
    orders = [order(publisher, published, SESSIONS[number]) for number in numbers]
    for start in range(0, len(orders), size):
        ingest_files(str(folder), orders[start : start + size])
    assert contents(open_history(folder)) == contents(whole)


def test_a_session_that_comes_again_takes_the_place_of_itself(
    publisher: Publisher, published: Path, whole: BarHistory, tmp_path: Path
) -> None:
    orders = [order(publisher, published, session) for session in SESSIONS]
    ingest_files(str(tmp_path), orders)
    ingest_files(str(tmp_path), orders[3:5])
    assert contents(open_history(tmp_path)) == contents(whole)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_refused_file_costs_its_session_alone(
    publisher: Publisher, published: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_bytes(b"<html>")
    good = [order(publisher, published, session) for session in SESSIONS[:3]]
    orders = [*good[:2], IngestItem(good[2].session, str(bad), good[2].index_path)]
    orders.append(IngestItem(SESSIONS[3], good[1].bhavcopy_path, ""))  # another session's bulletin
    refused = ingest_files(str(tmp_path / "history"), orders)
    assert [file.session for file in refused] == [SESSIONS[2], SESSIONS[3]]
    assert "web page" in refused[0].reason
    assert f"expected {SESSIONS[3]}, was {SESSIONS[1]}" in refused[1].reason
    assert open_history(tmp_path / "history").index.sessions == tuple(SESSIONS[:2])


def test_a_killed_writer_leaves_the_version_before(
    publisher: Publisher, published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest_files(str(tmp_path), [order(publisher, published, SESSIONS[0])])
    before = contents(open_history(tmp_path))

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(msgspec.json, "encode", die)
    with pytest.raises(KeyboardInterrupt):
        ingest_files(str(tmp_path), [order(publisher, published, SESSIONS[1])])
    monkeypatch.undo()
    assert contents(open_history(tmp_path)) == before
    ingest_files(str(tmp_path), [order(publisher, published, SESSIONS[1])])
    assert open_history(tmp_path).index.sessions == tuple(SESSIONS[:2])
    assert not list(tmp_path.glob("unfinished-*"))


@pytest.mark.parametrize("damage", ["head", "bars", "short"])
def test_a_damaged_version_is_passed_over(
    publisher: Publisher, published: Path, tmp_path: Path, damage: str
) -> None:
    """The bulletins are still there: what is lost is fetched again, not trusted."""
    ingest_files(str(tmp_path), [order(publisher, published, SESSIONS[0])])
    ingest_files(str(tmp_path), [order(publisher, published, SESSIONS[1])])
    newest = max(tmp_path.iterdir())
    if damage == "head":
        (newest / "head.json").write_bytes(b"{")
    elif damage == "bars":
        (newest / "bars.npy").write_bytes(b"")
    else:
        np.save(newest / "bars.npy", open_history(tmp_path).records[:-1])
    assert open_history(tmp_path).index.sessions == (SESSIONS[0],)


def test_an_empty_folder_is_an_empty_history(tmp_path: Path) -> None:
    history = open_history(tmp_path / "nothing")
    assert len(history.series("ALPHA", "NSE:ALPHA")) == 0
    assert len(history.sessions) == 0


def test_a_folder_that_cannot_be_written_says_what_to_do(
    publisher: Publisher, published: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UnavailableError, match="free space or make it writable"):
        ingest_files(str(tmp_path / "file"), [order(publisher, published, SESSIONS[0])])
