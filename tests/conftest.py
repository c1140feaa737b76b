"""Tests run on compiled kernels: plain Python would take hours, and outdated ones would prove nothing."""

from pathlib import Path

import pytest

import vcpd.analysis


def pytest_configure() -> None:
    """UsageError where a kernel is not compiled, or older than its source."""
    folder = Path(vcpd.analysis.__file__).parent
    outdated = [
        str(source.relative_to(folder))
        for types in folder.rglob("*.pxd")
        for source in (types, types.with_suffix(".py"))
        for compiled in vcpd.analysis.compiled_files(types)
        if compiled.stat().st_mtime < source.stat().st_mtime
    ]
    if outdated or not vcpd.analysis.kernels_are_compiled():
        message = f"compiled kernels are missing or outdated ({', '.join(outdated)}): run `make kernels`"
        raise pytest.UsageError(message)
