"""A real store for the verbs that write and read one."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.postgres import fresh_address, migrated_template, postgres_server
from vcpd.core.secrets import Secret

__all__ = ["migrated_template", "postgres_server"]


@pytest.fixture
async def store(
    postgres_server: Secret, migrated_template: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Path]:
    """The configuration of an empty, migrated store, whose address is a secret of the environment."""
    path = tmp_path / "config.toml"
    path.write_text('[daemon]\nstate_dir = "state"\n', encoding="utf-8")
    async with fresh_address(postgres_server, migrated_template) as address:
        monkeypatch.setenv("VCPD_STORE_DSN", address.reveal())
        yield path
