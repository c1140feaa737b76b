"""Tests run on compiled kernels: plain Python would take hours, and outdated ones would prove nothing."""

from pathlib import Path
from typing import Final

import pytest

import vcpd.analysis

WITH_PROCESSES: Final = ("acceptance", "bhavcopy", "cli", "conformance", "runtime", "sandbox", "store", "web")


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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Try each test of these folders once more before it fails; the report names what was tried twice.

    They start daemons, browsers, clusters and databases, with deadlines, on a machine that runs a second test
    file meanwhile.
    """
    place = len(Path(__file__).parts) - 1
    for item in items:
        if item.path.parts[place] in WITH_PROCESSES:
            item.add_marker(pytest.mark.flaky(reruns=1))
