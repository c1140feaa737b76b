"""Scores are percentiles of the session's universe, weighted; ties and tiny universes are defined."""

import math
from datetime import date

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcpd.analysis.risk.metric_names import COMPONENTS, DATE_METRICS, METRICS
from vcpd.analysis.risk.parameters import RiskParameters, RiskResult, RiskTaskParams
from vcpd.analysis.risk.scores import percentiles, score_risk
from vcpd.analysis.tasks import score_risk_encoded
from vcpd.domain.risk import RiskBand, RiskScore

AS_OF = date(2025, 6, 30)


def block(
    *volatilities: float, reasons: tuple[str | None, ...] | None = None, symbol: str = "S"
) -> RiskResult:
    """Symbols that differ in volatility alone."""
    count = len(volatilities)
    values = np.ones((count, len(METRICS)))
    values[:, METRICS.index("annual_volatility")] = volatilities
    dates = np.full((count, len(DATE_METRICS)), np.datetime64("NaT", "D"))
    names = tuple(f"{symbol}{number}" for number in range(count))
    return RiskResult(names, AS_OF, values, dates, reasons or (None,) * count)


def test_percentiles_by_hand() -> None:
    """Rank among the known, equal values share their middle, NaN stays out."""
    assert percentiles(np.array([3.0, 1.0, 2.0])).tolist() == [100, 0, 50]
    assert percentiles(np.array([1.0, 1.0, 2.0, np.nan, 3.0])).tolist()[:3] == pytest.approx(
        [100 / 6, 100 / 6, 200 / 3]
    )
    assert percentiles(np.array([7.0, np.nan]))[0] == 50
    assert percentiles(np.array([5.0, 5.0, 5.0])).tolist() == [50, 50, 50]
    assert len(percentiles(np.array([]))) == 0


@given(st.lists(st.integers(0, 6), min_size=2, max_size=30))
def test_percentiles_are_the_mean_rank(values: list[int]) -> None:
    """Against the plain definition: symbols below and half of the equal others, over all others."""
    expected = [
        100 * (sum(other < value for other in values) + (values.count(value) - 1) / 2) / (len(values) - 1)
        for value in values
    ]
    assert percentiles(np.array(values, np.float64)) == pytest.approx(expected)


def test_a_score_is_the_weighted_sum_of_its_components() -> None:
    """All other components stand in the middle by ties: 0.30 x percentile + 0.70 x 50."""
    scores = score_risk([block(0.1, 0.2, 0.3, 0.4, 0.5)], RiskTaskParams())
    assert [score.score for score in scores] == pytest.approx([35, 42.5, 50, 57.5, 65])
    assert scores[0].components == {"volatility": 0, **dict.fromkeys(list(COMPONENTS)[1:], 50)}
    assert scores[4].band is RiskBand.HIGH


def test_the_universe_is_all_blocks_together() -> None:
    """How the rows were cut into blocks does not matter."""
    scores = score_risk([block(0.1, 0.2, 0.3, 0.4, 0.5, 0.6)], RiskTaskParams())
    two = score_risk([block(0.1, 0.2), block(0.3, 0.4, 0.5, 0.6, symbol="T")], RiskTaskParams())
    assert [each.score for each in scores] == [each.score for each in two]
    assert list(score_risk([], RiskTaskParams())) == []


def test_one_score_read_alone_is_the_one_of_the_whole_list() -> None:
    """By number, from the end, and as a range; none beyond the ends."""
    varied = block(0.1, 0.2, 0.3, 0.4, 0.5, math.nan, reasons=(None, "bad data", None, None, None, None))
    varied.values[2, METRICS.index("beta")] = np.nan
    varied.dates[3, 0] = np.datetime64("2025-02-03")
    scores = score_risk([varied], RiskTaskParams())
    listed = list(scores)
    assert [scores[row] for row in range(-6, 6)] == [*listed, *listed]
    assert scores[1:4] == listed[1:4]
    assert [score.reason is None for score in listed] == [True, False, True, True, True, False]
    assert listed[3].metrics["max_drawdown_peak"] == "2025-02-03"
    with pytest.raises(IndexError):
        scores[6]


def test_written_out_a_score_has_the_same_text_and_fields() -> None:
    """What a worker sends to the store is what reading the columns gives."""
    varied = block(0.1, 0.2, 0.3, 0.4, 0.5, math.nan)
    scores = score_risk([varied], RiskTaskParams())
    written = score_risk_encoded([varied], RiskTaskParams())
    assert [msgspec.json.decode(row.text, type=RiskScore) for row in written] == list(scores)
    assert [(row.symbol, row.score, row.band, row.reason) for row in written] == [
        (score.symbol, score.score, score.band, score.reason) for score in scores
    ]


def test_a_tiny_universe_has_metrics_but_no_score() -> None:
    """Percentiles among four say nothing: the reason tells how many there were."""
    scores = score_risk(
        [block(0.1, 0.2, 0.3, 0.4, 0.5, reasons=("bad data", None, None, None, None))], RiskTaskParams()
    )
    assert [score.reason for score in scores[:2]] == [
        "bad data",
        "4 symbols could be measured: percentiles need at least 5",
    ]
    assert all(score.score is None and score.band is None for score in scores)
    assert scores[1].metrics["annual_volatility"] == 0.2


def test_less_of_a_steady_trend_and_a_deeper_drawdown_are_riskier() -> None:
    """R^2 and the (negative) drawdown rank the other way round."""
    quiet = block(0.1, 0.1, 0.1, 0.1, 0.1)
    quiet.values[:, METRICS.index("trend_r2")] = [0.9, 0.7, 0.5, 0.3, 0.1]
    quiet.values[:, METRICS.index("max_drawdown")] = [-0.1, -0.2, -0.3, -0.4, -0.5]
    scores = score_risk([quiet], RiskTaskParams())
    for name in ("trend", "drawdown"):
        assert [score.components[name] for score in scores] == [0, 25, 50, 75, 100]


def test_an_undefined_metric_leaves_its_component_to_the_others() -> None:
    """Without R^2 (a flat price) the crossings alone rank the trend."""
    flat = block(0.1, 0.1, 0.1, 0.1, 0.1)
    flat.values[0, METRICS.index("trend_r2")] = np.nan
    flat.values[:, METRICS.index("trend_crossings")] = [0, 1, 2, 3, 4]
    scores = score_risk([flat], RiskTaskParams())
    assert scores[0].components["trend"] == 0
    assert scores[0].metrics["trend_r2"] is None


@given(st.lists(st.floats(0.01, 3), min_size=5, max_size=40))
def test_scores_stay_within_bounds_and_bands_follow_them(volatilities: list[float]) -> None:
    """0..100, riskier is higher, and the band is the last whose limit is reached."""
    scores = score_risk([block(*volatilities)], RiskTaskParams())
    points = [score.score for score in scores if score.score is not None]
    assert len(points) == len(volatilities)
    assert all(0 <= point <= 100 and math.isfinite(point) for point in points)
    ordered = [value for _, value in sorted(zip(volatilities, points, strict=True))]
    assert ordered == sorted(ordered)
    limits = RiskParameters().bands
    assert all(
        score.band is [band for limit, band in limits if score.score is not None and score.score >= limit][-1]
        for score in scores
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weight_gap": 0.5}, "risk weights must sum to 1, was 1.25"),
        ({"high_from": 30.0}, r"risk band limits must rise, was \[20.0, 40.0, 30.0, 80.0\]"),
        ({"minimum_returns": 300}, "minimum_returns must be at most window_returns 252, was 300"),
        ({"weight_atr": -1.0}, "Expected `float` >= 0"),
    ],
)
def test_impossible_settings_are_refused(changes: dict[str, float], message: str) -> None:
    """Each with a text that names what was given."""
    with pytest.raises(msgspec.ValidationError, match=message):
        msgspec.convert(changes, RiskParameters)
    if "weight_gap" in changes:
        with pytest.raises(ValueError, match=message):
            RiskParameters(weight_gap=0.5)


def test_other_weights_that_sum_to_one_are_taken() -> None:
    """The owner may weigh otherwise."""
    volatility_only = RiskParameters(
        weight_volatility=1, weight_gap=0, weight_atr=0, weight_drawdown=0, weight_volume=0, weight_trend=0
    )
    scores = score_risk([block(0.1, 0.2, 0.3, 0.4, 0.5)], RiskTaskParams(parameters=volatility_only))
    assert [score.score for score in scores] == [0, 25, 50, 75, 100]
    assert [score.band for score in scores] == [
        RiskBand.LOW,
        RiskBand.MODERATE,
        RiskBand.ELEVATED,
        RiskBand.HIGH,
        RiskBand.EXTREME,
    ]
