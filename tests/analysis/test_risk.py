"""Risk metrics equal their outside definitions; what cannot be measured says why."""

import json
import math
import pickle
from datetime import date
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.analysis.risk_samples import Metrics, expected_metrics, from_closes, read_bars, sessions_from, walk
from tests.real_data import real_data
from vcpd.analysis.risk.metric_names import DATE_METRICS, METRICS
from vcpd.analysis.risk.parameters import RiskParameters, RiskResult, RiskTaskParams
from vcpd.analysis.risk.report import measure_risk
from vcpd.analysis.risk.scores import score_risk
from vcpd.core.errors import BadInputError
from vcpd.domain.bars import BarSeries
from vcpd.domain.panel import Panel, build_panel

AS_OF = (date(2021, 12, 31), date(2023, 3, 28), date(2024, 6, 4), date(2025, 6, 30))


def measured(panel: Panel, as_of: date | None = None, **changes: float) -> RiskResult:
    parameters = msgspec.convert(changes, RiskParameters)
    return measure_risk(panel, range(len(panel.symbols)), RiskTaskParams(as_of=as_of, parameters=parameters))


def metrics_of(block: RiskResult, row: int = 0) -> Metrics:
    return dict(zip(METRICS, block.values[row].tolist(), strict=True))


def assert_equal(actual: Metrics, expected: Metrics, where: object) -> None:
    for name, value in expected.items():
        known = actual[name]
        if not math.isfinite(value):
            assert not math.isfinite(known), (where, name, known, value)
        else:
            assert known == pytest.approx(value, rel=1e-9, abs=1e-12), (where, name)


@pytest.fixture(scope="module")
def market() -> tuple[list[BarSeries], BarSeries]:
    indices = {bar.symbol: bar for bar in read_bars(real_data("nse_indices.parquet"))}
    return list(read_bars(real_data("nse_fno208.parquet"))), indices["NIFTY 50"]


@pytest.mark.parametrize("as_of", AS_OF, ids=str)
def test_every_metric_of_every_real_symbol_is_the_outside_one(
    market: tuple[list[BarSeries], BarSeries], as_of: date
) -> None:
    """208 NSE stocks: each metric within 1e-9 of empyrical, pandas or the named definition."""
    stocks, index = market
    block = measured(build_panel(stocks, index), as_of)
    histories = {stock.symbol: stock for stock in stocks}
    compared = 0
    for row, symbol in enumerate(block.symbols):
        if block.reasons[row] is None:
            assert_equal(
                metrics_of(block, row), expected_metrics(histories[symbol], index, as_of), (symbol, as_of)
            )
            compared += 1
    assert compared > 150


drift = st.lists(st.sampled_from([-0.03, -0.01, 0.0, 0.0, 0.005, 0.02]), min_size=130, max_size=280)
jump = st.tuples(st.integers(0, 129), st.sampled_from([-0.6, -0.4, 0.0, 0.9]))


@settings(max_examples=40, deadline=None)
@given(
    changes=drift,
    jump=jump,
    volumes=st.lists(st.sampled_from([0.0, 10.0, 5000.0, math.nan]), min_size=281, max_size=281),
    hole=st.integers(2, 120),
)
def test_awkward_series_agree_with_the_outside_definitions(
    changes: list[float], jump: tuple[int, float], volumes: list[float], hole: int
) -> None:
    """Flat stretches, jumps, a missing bar, zero and unknown volume: still the outside answers."""
    changes[jump[0]] = jump[1]
    close = 50 * np.cumprod(1 + np.array([0.0, *changes]))
    series = from_closes("A", close, np.array(volumes[: len(close)]))
    holed = BarSeries("A", np.delete(series.records, len(series) - hole))
    index = walk("INDEX", len(close), seed=5)
    panel = build_panel([holed, walk("B", len(close))], index)
    expected = expected_metrics(holed, index, panel.sessions[-1].item())
    assert_equal(metrics_of(measured(panel)), undefined_where_flat(expected, changes), "awkward")


def undefined_where_flat(expected: Metrics, changes: list[float]) -> Metrics:
    """empyrical gives infinities and ratios of rounding where nothing moved; here they are undefined."""
    if all(change >= 0 for change in changes):
        expected["sortino"] = math.nan
    return expected


def test_an_infinite_volume_is_an_unknown_one() -> None:
    """Neither mean nor median takes it in, and the session did not trade."""
    infinite, unknown = walk("A", 300), walk("A", 300)
    infinite.records["volume"][200:240:7] = np.inf
    unknown.records["volume"][200:240:7] = np.nan
    first, second = (measured(build_panel([series])).values for series in (infinite, unknown))
    assert first.tobytes() == second.tobytes()


def test_a_fall_lasts_from_the_last_close_at_its_high() -> None:
    """Of two equal highs the later is the peak; of two equally deep falls the first counts."""
    close = np.full(260, 90.0)
    close[[50, 60]], close[[70, 80]] = 100.0, 45.0
    block = measured(build_panel([from_closes("A", close, np.full(260, 1.0))]))
    sessions = sessions_from("2024-01-01", 260)
    assert metrics_of(block)["max_drawdown"] == pytest.approx(-0.55)
    assert block.dates[0, :2].tolist() == [sessions[60].item(), sessions[70].item()]


def test_constant_prices_have_no_ratio_and_no_fit() -> None:
    """No movement is zero volatility and zero drawdown; what would divide by it is undefined."""
    flat = from_closes("A", np.full(260, 77.7), np.full(260, 1000.0))
    block = measured(build_panel([flat], walk("INDEX", 260)))
    metrics = metrics_of(block)
    zero = {"annual_volatility", "downside_deviation", "max_drawdown", "atr14_pct", "gap_worst", "beta"}
    undefined = {"sharpe", "sortino", "calmar", "skewness", "excess_kurtosis", "trend_r2", "correlation"}
    assert {name: metrics[name] for name in zero} == dict.fromkeys(zero, 0.0)
    assert all(math.isnan(metrics[name]) for name in undefined)
    assert np.isnat(block.dates).all()


def test_a_steady_climb_divides_by_no_rounding() -> None:
    """Equal returns differ by rounding alone: no Sharpe of 1e15."""
    climb = from_closes("A", 100 * 1.001 ** np.arange(260.0), np.full(260, 1000.0))
    assert math.isnan(metrics_of(measured(build_panel([climb])))["sharpe"])


def test_a_single_jump_is_the_worst_gap_and_a_drawdown_with_dates() -> None:
    """One fall of half: depth, peak, trough, no recovery, and its length to the end."""
    close = np.full(260, 100.0)
    close[200:] = 50.0
    block = measured(build_panel([from_closes("A", close, np.full(260, 1.0))]))
    sessions = sessions_from("2024-01-01", 260)
    assert metrics_of(block)["max_drawdown"] == -0.5
    assert metrics_of(block)["max_drawdown_sessions"] == 60
    assert block.dates[0, :2].tolist() == [sessions[199].item(), sessions[200].item()]
    assert np.isnat(block.dates[0, 2])


def test_a_drawdown_that_was_made_good_ends_at_its_recovery() -> None:
    """Peak, trough and recovery are sessions of the panel; the length is from peak to recovery."""
    close = np.concatenate([np.linspace(50, 100, 200), [90.0, 80.0, 95.0, 100.0], np.full(56, 101.0)])
    block = measured(build_panel([from_closes("A", close, np.full(260, 1.0))]))
    sessions = sessions_from("2024-01-01", 260)
    assert block.dates[0].tolist() == [sessions[at].item() for at in (199, 201, 203)]
    assert metrics_of(block)["max_drawdown_sessions"] == 4


def test_a_symbol_with_a_hole_uses_its_own_last_bars() -> None:
    """A missing bar moves the window back by one; the others keep theirs."""
    whole = walk("A", 300)
    holed = BarSeries("B", np.delete(walk("B", 300).records, 250))
    index = walk("INDEX", 300, seed=9)
    block = measured(build_panel([whole, holed], index))
    as_of = whole.sessions[-1].item()
    for row, series in enumerate((whole, holed)):
        assert_equal(metrics_of(block, row), expected_metrics(series, index, as_of), series.symbol)


def test_provisional_bars_are_left_out() -> None:
    """The running session's bar changes nothing: as if it were not there."""
    settled, running = BarSeries("A", walk("A", 300).records[:-1]), walk("A", 300)
    running.records["provisional"][-1] = True
    running.records["close"][-1] *= 3
    assert metrics_of(measured(build_panel([running]))) == pytest.approx(
        metrics_of(measured(build_panel([settled]))), nan_ok=True
    )


def test_an_index_without_the_dates_gives_no_beta() -> None:
    """Joined by date: an index of other days says nothing, silently using positions would."""
    panel = build_panel([walk("A", 300)], walk("INDEX", 300, first="2010-01-01"))
    assert all(math.isnan(metrics_of(measured(panel))[name]) for name in ("beta", "alpha", "correlation"))


@pytest.mark.parametrize(
    ("series", "reason"),
    [
        (walk("A", 126, first="2024-06-23"), "125 usable returns, at least 126 needed"),
        (walk("A", 200), "last final bar 2024-07-18 is 100 sessions old, at most 10"),
        (walk("A", 5, first="2024-12-01"), "no final bar up to 2024-10-26"),
    ],
    ids=["too few", "stale", "none"],
)
def test_who_cannot_be_measured_says_why(series: BarSeries, reason: str) -> None:
    """Too little or too old history is a reason with its numbers, never a middle value."""
    panel = build_panel([series, walk("B", 300)])
    block = measured(panel, date(2024, 10, 26))
    assert block.reasons == (reason, None)
    assert np.isnan(block.values[0]).all()


def test_126_returns_are_enough() -> None:
    """The limit itself is inside."""
    assert measured(build_panel([walk("A", 127)])).reasons == (None,)


def test_a_symbol_excluded_by_quality_is_not_measured() -> None:
    """Its reason is the one of data quality, and it is no part of the universe."""
    panel = build_panel(
        [walk(name, 300, seed) for seed, name in enumerate("ABCDEFG")], exclusions={"C": "jump on 2024-05-01"}
    )
    block = measured(panel)
    scores = score_risk([block], RiskTaskParams())
    assert scores[2].reason == "jump on 2024-05-01"
    assert scores[2].score is None
    assert scores[2].metrics == {}
    assert {score.components["volatility"] for score in scores if score.components} == {
        0,
        20,
        40,
        60,
        80,
        100,
    }


def test_chunks_and_views_change_nothing() -> None:
    """Bit for bit: by chunks of rows, on the past of a longer history, on a read-only copy."""
    panel = build_panel([walk(f"S{seed:03}", 400 - seed, seed) for seed in range(90)], walk("INDEX", 400))
    as_of = panel.sessions[350].item()
    whole = measured(panel, as_of)
    frozen = Panel(
        panel.symbols,
        panel.sessions,
        panel.values.copy(),
        panel.provisional,
        panel.index_close,
        panel.tick_size,
    )
    frozen.values.flags.writeable = False
    for other in (panel.until(as_of), frozen):
        parts = [
            measure_risk(other, rows, RiskTaskParams(as_of=as_of)) for rows in (range(37), range(37, 90))
        ]
        assert np.concatenate([part.values for part in parts]).tobytes() == whole.values.tobytes()
        assert sum((part.reasons for part in parts), ()) == whole.reasons


def test_scaled_prices_have_the_same_risk() -> None:
    """A split with back-adjustment changes no metric but those in currency."""
    plain, scaled = walk("A", 300), walk("A", 300)
    for name in ("open", "high", "low", "close"):
        scaled.records[name] /= 4
    scaled.records["volume"] *= 4
    before, after = (metrics_of(measured(build_panel([series]))) for series in (plain, scaled))
    assert after == pytest.approx(before, rel=1e-9, nan_ok=True)


def test_a_panel_without_the_session_is_refused() -> None:
    """The error says what to do."""
    with pytest.raises(BadInputError, match="collect bars first"):
        measured(build_panel([walk("A")]), date(1999, 1, 1))


def test_a_block_travels_between_processes_small() -> None:
    """Pickled and back it is the same, at well under a kilobyte a symbol."""
    block = measured(build_panel([walk(f"S{seed:02}", 300, seed) for seed in range(50)]))
    sent = pickle.dumps(block)
    back = pickle.loads(sent)
    assert (back.symbols, back.as_of, back.reasons) == (block.symbols, block.as_of, block.reasons)
    assert back.values.tobytes() == block.values.tobytes()
    assert back.dates.tobytes() == block.dates.tobytes()
    assert len(sent) < 400 * 50


def test_no_rows_are_no_rows() -> None:
    """An empty chunk is an empty block."""
    block = measure_risk(build_panel([walk("A")]), range(0), RiskTaskParams())
    assert block.symbols == ()
    assert block.values.shape == (0, len(METRICS))
    assert block.dates.shape == (0, len(DATE_METRICS))


def test_the_document_names_every_metric() -> None:
    """Who reads a figure finds its definition."""
    document = Path(__file__).parents[2].joinpath("docs", "risk.md").read_text(encoding="utf-8")
    assert [name for name in (*METRICS, *DATE_METRICS) if f"`{name}`" not in document] == []


def test_scores_are_plain_json() -> None:
    """Neither NaN nor infinity leaves the room: undefined is null."""
    flat = from_closes("A", np.full(260, 77.7), np.full(260, np.nan))
    panel = build_panel([flat, *(walk(name, 260, seed) for seed, name in enumerate("BCDEF"))])
    text = msgspec.json.encode(list(score_risk([measured(panel)], RiskTaskParams())))
    first = json.loads(text, parse_constant=pytest.fail)[0]
    assert first["reason"] == "nothing to rank for volume: no metric of it is defined"
    assert first["metrics"]["volume_variation"] is None
    assert first["metrics"]["annual_volatility"] == 0.0
