"""Ports and folders for the daemons under test."""

import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose name leaves space for a socket's; that of `tmp_path` can be too long."""
    with tempfile.TemporaryDirectory(prefix="vcpd-") as folder:
        yield Path(folder)
