"""Where secrets are looked for, in which order, and which files are refused."""

import os
from pathlib import Path

import pytest

from vcpd.app import credentials
from vcpd.app.alert_channels import alert_secret_names
from vcpd.app.credentials import find_secret
from vcpd.core.errors import ConfigurationError
from vcpd.core.secrets import Secret

NAME = "kite_api_secret"


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Every place of its own, all empty."""
    found = {name: tmp_path / name for name in ("manager", "folder", "system")}
    for folder in found.values():
        folder.mkdir()
    monkeypatch.setattr(credentials, "SYSTEM_CREDENTIAL_FOLDER", found["system"])
    return found


def _put(path: Path, text: str, mode: int = 0o600) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)


def test_the_managers_comes_first_then_private_files_then_the_environment(places: dict[str, Path]) -> None:
    environment = {"CREDENTIALS_DIRECTORY": str(places["manager"]), "VCPD_KITE_API_SECRET": "four"}
    _put(places["manager"] / NAME, "one\n", 0o440)  # the manager's own folder is private already
    _put(places["folder"] / NAME, "two")
    _put(places["system"] / f"vcpd.{NAME}", "three")
    for expected, done in (("one", "manager"), ("two", "folder"), ("three", "system"), ("four", None)):
        assert find_secret(NAME, places["folder"], environment) == Secret(expected)
        if done is not None:
            next(places[done].iterdir()).unlink()
    assert find_secret(NAME, places["folder"], {}) is None


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
@pytest.mark.parametrize(("place", "name"), [("folder", NAME), ("system", f"vcpd.{NAME}")])
def test_a_file_that_others_may_read_is_refused_with_the_remedy(
    places: dict[str, Path], mode: int, place: str, name: str
) -> None:
    _put(places[place] / name, "hush", mode)
    with pytest.raises(ConfigurationError, match="chmod 600") as refused:
        find_secret(NAME, places["folder"], {})
    assert "hush" not in str(refused.value)


def test_an_empty_file_is_no_secret(places: dict[str, Path]) -> None:
    _put(places["folder"] / NAME, " \n")
    with pytest.raises(ConfigurationError, match="was empty"):
        find_secret(NAME, places["folder"], {})


def test_what_is_taken_from_the_environment_is_known_to_us_alone(
    places: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "_removed_values", {})
    monkeypatch.setenv("VCPD_KITE_API_SECRET", "five")
    monkeypatch.setenv("VCPD_STORE__DSN", "postgresql://me:six@db/vcpd")
    monkeypatch.delenv("VCPD_STORE_DSN", raising=False)
    credentials.remove_secrets_from_environment(credentials.SECRET_NAMES)
    assert not [key for key in os.environ if key.startswith(("VCPD_KITE", "VCPD_STORE"))]
    assert find_secret(NAME, places["folder"], os.environ) == Secret("five")
    assert find_secret("store_dsn", places["folder"], os.environ) == Secret("postgresql://me:six@db/vcpd")


@pytest.mark.parametrize("name", [*credentials.SECRET_NAMES, *alert_secret_names()])
@pytest.mark.parametrize("text", ["", " \n", "\ufeff"])
def test_an_empty_file_is_an_error_for_every_secret(places: dict[str, Path], name: str, text: str) -> None:
    """It must not mean the same as none: that would be another database, or an open port."""
    _put(places["folder"] / name, text)
    with pytest.raises(ConfigurationError, match="expected a secret, was empty"):
        find_secret(name, places["folder"], {})


def test_a_byte_order_mark_is_no_part_of_a_secret(places: dict[str, Path]) -> None:
    _put(places["folder"] / NAME, "\ufeffsecret\n")
    assert find_secret(NAME, places["folder"], {}) == Secret("secret")


def test_a_state_folder_that_anybody_may_write_to_is_refused(tmp_path: Path) -> None:
    """It holds compiled code that is executed."""
    tmp_path.chmod(0o777)
    with pytest.raises(ConfigurationError, match="any user may write to"):
        credentials.check_private(tmp_path)
    tmp_path.chmod(0o755)
    credentials.check_private(tmp_path)
