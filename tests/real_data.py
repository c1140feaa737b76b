"""Where tests find real market data: never in the project, always beside it."""

import os
from pathlib import Path

import pytest

DEFAULT = Path(__file__).resolve().parent.parent / ".." / "shared" / "data"


def data_folder() -> Path:
    """The folder named by VCPD_DATA, or the default beside the project."""
    return Path(os.environ.get("VCPD_DATA", DEFAULT)).resolve()


def real_data(name: str) -> Path:
    """The path of a real data file; skips the test where it is absent."""
    path = data_folder() / name
    if not path.exists():
        pytest.skip(f"real market data not present: {name} (set VCPD_DATA to its folder)")
    return path
