"""Compiled kernels: found again by what their sources say, compiled once for all literals; small kernels."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vcpd
from vcpd.analysis.indicators import low_percentile
from vcpd.analysis.kernels import highest, inline_kernel, lowest, total_of

PACKAGE = Path(vcpd.__file__).parent
PROGRAM = """
import numpy as np
from vcpd.analysis.kernels import on_first_compilation
on_first_compilation(lambda: print("compiling"))
from vcpd.analysis.indicators import low_percentile
print(low_percentile(np.arange(11.0), 10))
"""
FINITE = st.floats(-1e9, 1e9)


def run_in(checkout: Path, cache: Path) -> list[str]:
    environment = {**os.environ, "PYTHONPATH": str(checkout), "NUMBA_CACHE_DIR": str(cache)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        cwd=cache,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.split()


def test_what_is_compiled_is_found_again_by_another_checkout_and_after_a_touch(tmp_path: Path) -> None:
    """Neither where the sources lie nor when they were written counts, only what they say."""
    cache, first, second = tmp_path / "cache", tmp_path / "first", tmp_path / "second"
    cache.mkdir()
    for checkout in (first, second):
        shutil.copytree(PACKAGE, checkout / "vcpd", ignore=shutil.ignore_patterns("__pycache__"))
    assert run_in(first, cache) == ["compiling", "1.0"]
    assert run_in(first, cache) == ["1.0"]
    assert run_in(second, cache) == ["1.0"]
    for source in (second / "vcpd" / "analysis").rglob("*.py"):
        os.utime(source, (0, 0))
    assert run_in(second, cache) == ["1.0"]
    with (second / "vcpd" / "analysis" / "indicators.py").open("a") as file:
        file.write("# changed\n")
    assert run_in(second, cache) == ["compiling", "1.0"]


@inline_kernel
def _plus(number: int, other: int) -> int:
    return number + other


@inline_kernel
def _three_sums(number: int) -> int:
    return _plus(number, 1) + _plus(number, 2) + _plus(number, number)


def test_a_kernel_is_compiled_once_for_all_literals() -> None:
    assert _three_sums(5) == 6 + 7 + 10
    assert len(_plus.overloads) == 1  # type: ignore[attr-defined]


@settings(deadline=None)
@given(st.lists(FINITE, min_size=1, max_size=60), st.sampled_from([0, 1, 5, 10, 50, 100]))
def test_a_low_percentile_is_that_of_numpy(values: list[float], pct: int) -> None:
    numbers = np.array(values)
    assert low_percentile(numbers, pct) == pytest.approx(
        float(np.percentile(numbers, pct)), rel=1e-12, abs=1e-6
    )


@settings(deadline=None)
@given(st.lists(FINITE, min_size=1, max_size=60))
def test_highest_lowest_and_total_are_those_of_numpy(values: list[float]) -> None:
    numbers = np.array(values)
    assert highest(numbers) == numbers.max()
    assert lowest(numbers) == numbers.min()
    assert total_of(numbers) == sum(values)
