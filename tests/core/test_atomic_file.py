"""Files are replaced in one step; a published folder is whole."""

import os
import stat
from pathlib import Path

import pytest

from vcpd.core.atomic_file import publish_folder, versions_of, write_atomic
from vcpd.core.errors import UnavailableError


def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is synced from now on: the kind of each."""
    kinds: list[str] = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        kinds.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    return kinds


def test_a_file_is_replaced_and_synced_with_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds, path = synced(monkeypatch), tmp_path / "new" / "token.json"
    write_atomic(path, b"one", mode=0o600, folder_mode=0o700)
    write_atomic(path, b"two", mode=0o600)
    assert (path.read_bytes(), list(path.parent.iterdir())) == (b"two", [path])
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert kinds == ["file", "folder"] * 2


def test_a_missing_folder_may_be_an_error(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="No such file"):
        write_atomic(tmp_path / "typo" / "chart.svg", b"", folder_mode=None)
    assert list(tmp_path.iterdir()) == []


def test_a_rename_that_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "taken"
    path.mkdir()
    with pytest.raises(UnavailableError, match="cannot write"):
        write_atomic(path, b"body")
    assert list(tmp_path.iterdir()) == [path]


def test_versions_are_numbered_synced_and_pruned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "unfinished-1").mkdir()
    kinds = synced(monkeypatch)
    names = []
    for number in range(1, 4):
        with publish_folder(tmp_path, "panel-", keep=2) as (unfinished, final):
            (unfinished / "values").write_text(str(number))
            assert not final.exists()
        assert (final / "values").read_text() == str(number)
        names.append(final.name)
    assert [folder.name for folder in versions_of(tmp_path, "panel-")] == names[1:]
    assert sorted(tmp_path.iterdir()) == versions_of(tmp_path, "panel-"), "what killed writers left is gone"
    assert kinds[:3] == ["file", "folder", "folder"]


def test_a_deleted_version_does_not_give_its_name_to_the_next(tmp_path: Path) -> None:
    """Whoever still reads the deleted one would take the next for it."""
    names = set()
    for _ in range(3):
        with publish_folder(tmp_path, "panel-", keep=2) as (_, final):
            names.add(final.name)
        final.rmdir()
    assert len(names) == 3


@pytest.mark.parametrize("newest", ["panel-00000007", "panel-9999999999999999"])
def test_a_version_is_newer_than_those_there_whatever_the_clock_says(tmp_path: Path, newest: str) -> None:
    """Numbers of version 0.1.0 are small; a clock that was set back is behind those of before."""
    (tmp_path / newest).mkdir()
    with publish_folder(tmp_path, "panel-", keep=2) as (_, final):
        pass
    assert versions_of(tmp_path, "panel-") == [tmp_path / newest, final]


def test_a_folder_whose_writing_fails_is_never_published(tmp_path: Path) -> None:
    def write(folder: Path) -> None:
        (folder / "values").write_text("half")
        raise ValueError("boom")

    publishing = publish_folder(tmp_path, "panel-", keep=2)
    with pytest.raises(ValueError, match="boom"), publishing as (unfinished, _):
        write(unfinished)
    assert list(tmp_path.iterdir()) == []
