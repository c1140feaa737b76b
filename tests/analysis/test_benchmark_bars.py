"""The benchmarks that need real bars are handed the file that holds what they look for."""

from benchmarks.__main__ import REAL_BARS
from benchmarks.detector_robustness import KNOWN
from tests.analysis.markets import read_series
from tests.real_data import real_data


def test_robustness_is_measured_on_the_file_that_holds_the_known_answers() -> None:
    bars = real_data(REAL_BARS["detector_robustness"].name)
    assert {known.symbol for known in KNOWN} <= {series.symbol for series in read_series(bars)}
