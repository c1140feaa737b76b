"""Compiled kernels give the same bytes as their sources run as plain Python; what stays unchecked in them."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vcpd
from vcpd.analysis import compiled_files, kernels_are_compiled
from vcpd.analysis.indicators import low_percentile

PACKAGE: Final = Path(vcpd.__file__).parent
TYPES: Final = sorted((PACKAGE / "analysis").rglob("*.pxd"))
FINITE = st.floats(-1e9, 1e9)
# Everything that is compiled: chains, trend, ratings, outcomes and risk of a small market with gaps; and
# verdicts in the form in which they are stored.
PROGRAM: Final = """
import hashlib, sys
import msgspec
import numpy as np
from vcpd.analysis.base_structure import find_chains
from vcpd.analysis.base_search import BaseSearch
from vcpd.analysis.indicators import bars_of, measure_base
from vcpd.analysis.outcomes import count_outcomes
from vcpd.analysis.risk.parameters import RiskTaskParams
from vcpd.analysis.risk.report import measure_risk
from vcpd.analysis.screen import screen_rows
from vcpd.analysis.simulated_trades import EntryRules
from vcpd.analysis.strength import StrengthRatings
from vcpd.analysis.tasks import ScreenParams
from vcpd.analysis.thresholds import Thresholds
from vcpd.analysis.trend import evaluate_trend
from vcpd.domain.bars import BarSeries
from vcpd.domain.panel import build_panel

rng = np.random.default_rng(4)
days = np.datetime64("2022-01-03", "D") + np.arange(330)
def series(name, missing):
    close = 100 * np.exp(np.cumsum(rng.normal(0.0015, 0.018, len(days))))
    low, high = close * rng.uniform(0.97, 1, len(days)), close * rng.uniform(1, 1.03, len(days))
    opening = rng.uniform(low, high)
    kept = np.setdiff1d(np.arange(len(days)), missing)
    volume = np.where(rng.random(len(days)) < 0.05, np.nan, rng.uniform(1e4, 1e5, len(days)))
    columns = [column[kept] for column in (opening, high, low, close)]
    return BarSeries.from_columns(name, days[kept], tuple(columns), volume[kept])
shares = [series("A", []), series("B", [5, 40, 41, 200, 329]), series("C", range(180))]
panel = build_panel(shares, series("I", [7]))
thresholds = Thresholds(min_rs_universe=2, min_prior_advance_pct=0.0)
digest = hashlib.sha256()
def add(*values):
    for value in values:
        digest.update(np.ascontiguousarray(value).tobytes())
ratings = StrengthRatings(panel, 2)
search = BaseSearch(len(panel.sessions), thresholds.rules.max_base_sessions)
found = 0
for row in range(3):
    bars = bars_of(panel, row)
    last = len(bars.close) - 1
    first = last - 30
    chains = find_chains(bars, first, last, search, thresholds.rules)
    found += int((chains.contractions > 0).sum())
    rated = ratings.of(panel.close, row, bars.column[first:])
    add(*bars, *chains, rated, *evaluate_trend(bars, rated, first, last, thresholds.trend_rules))
    add(*[value for part in measure_base(bars, panel.index_close, first, first + 10, last) for value in part])
    entered, stops = np.arange(last + 1) % 3 == 0, bars.close * 0.95
    counted = count_outcomes(bars, panel.sessions[bars.column], entered, stops, EntryRules(20, 0.3, 329))
    add(np.frombuffer(counted.results, np.uint8), *counted.sums_r.values(), counted.stopped)
verdicts = screen_rows(panel, range(3), ScreenParams(thresholds=thresholds)).setups
digest.update(msgspec.json.encode(verdicts))
risk = measure_risk(panel, range(3), RiskTaskParams())
add(risk.values, risk.dates)
print(found, digest.hexdigest(), sys.modules["vcpd.analysis.base_search"].__file__.rpartition(".")[2])
"""


def test_every_kernel_is_compiled_here() -> None:
    """Else all other tests would try plain Python."""
    assert len(TYPES) >= 9
    assert kernels_are_compiled()
    assert all(len(compiled_files(types)) == 1 for types in TYPES)


def _run(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(root)}
    return subprocess.run(
        [sys.executable, *options, "-c", PROGRAM],
        env=environment,
        cwd=root,
        check=False,
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package that was not compiled."""
    root = tmp_path_factory.mktemp("plain")
    shutil.copytree(PACKAGE, root / "vcpd", ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    return root


def test_plain_python_gives_the_same_bytes_and_warns_once(plain: Path) -> None:
    compiled, interpreted = _run(PACKAGE.parent), _run(plain)
    assert compiled.returncode == 0, compiled.stderr
    assert interpreted.returncode == 0, interpreted.stderr
    (count, digest, kind), answer = compiled.stdout.split(), interpreted.stdout.split()
    assert answer == [count, digest, "py"]
    assert int(count) > 20, "the comparison is not empty"
    assert kind == "so"
    assert compiled.stderr == ""
    assert interpreted.stderr.count("run `make kernels`") == 1


def test_without_cython_the_error_says_what_to_do(plain: Path) -> None:
    """`-I` and `-S` leave out the installed packages."""
    code = f"import sys; sys.path.insert(0, {str(plain)!r}); import vcpd.analysis"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], check=False, capture_output=True, text=True
    )
    assert "run `make kernels`, or install vcpd with pip" in done.stderr


@pytest.mark.parametrize("types", TYPES, ids=lambda path: path.stem)
def test_no_kernel_counts_from_the_end(types: Path) -> None:
    """Compiled without a check of bounds, x[-1] would read before the first element."""
    tree = ast.parse(types.with_suffix(".py").read_text(encoding="utf-8"))
    found = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript)
        and isinstance(node.slice, ast.UnaryOp)
        and isinstance(node.slice.op, ast.USub)
    ]
    assert found == []


@settings(deadline=None)
@given(st.lists(FINITE, min_size=1, max_size=60), st.sampled_from([0, 1, 5, 10, 50, 100]))
def test_a_low_percentile_is_that_of_numpy(values: list[float], pct: int) -> None:
    numbers = np.array(values)
    assert low_percentile(numbers, pct) == pytest.approx(
        float(np.percentile(numbers, pct)), rel=1e-12, abs=1e-6
    )
