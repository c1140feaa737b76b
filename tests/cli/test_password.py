"""`vcpd password` and the token's file: what stands in the state folder, and who may read it."""

import io
import stat
from pathlib import Path

import pytest

from tests.cli.scripted_daemon import call, configuration
from vcpd.app.credentials import (
    HEADER_FILE,
    PASSWORD_HASH_FILE,
    generated_token,
    read_generated_token,
    read_password_hash,
)
from vcpd.cli.command import EXIT_BAD_INPUT, EXIT_OK
from vcpd.web.sign_in import matches

PASSWORD = "correct horse battery"


async def test_a_password_is_stored_as_a_hash_for_its_user_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = configuration(tmp_path, 1)
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PASSWORD}\n"))
    assert await call("password", "--config", path) == EXIT_OK
    stored = read_password_hash(tmp_path / "state")
    assert stored is not None
    assert matches(PASSWORD, stored)
    assert PASSWORD not in "".join(capsys.readouterr())
    assert stat.S_IMODE((tmp_path / "state" / PASSWORD_HASH_FILE).stat().st_mode) == 0o600


@pytest.mark.parametrize("given", ["", "short\n"])
async def test_a_short_password_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(given))
    assert await call("password", "--config", configuration(tmp_path, 1)) == EXIT_BAD_INPUT
    assert read_password_hash(tmp_path / "state") is None


def test_the_token_is_made_once_and_kept_as_a_whole_header(tmp_path: Path) -> None:
    assert read_generated_token(tmp_path) is None
    token = generated_token(tmp_path)
    assert generated_token(tmp_path) == token
    assert len(token.reveal()) >= 32
    file = tmp_path / HEADER_FILE
    assert file.read_text(encoding="ascii") == f"Authorization: Bearer {token.reveal()}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", ["", "Authorization: Basic x\n", "\u00e9"])
def test_a_damaged_file_is_replaced(tmp_path: Path, content: str) -> None:
    (tmp_path / HEADER_FILE).write_text(content, encoding="utf-8")
    assert read_generated_token(tmp_path) is None
    assert generated_token(tmp_path) == read_generated_token(tmp_path)
