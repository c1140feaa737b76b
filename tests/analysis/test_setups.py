"""Verdicts: the past alone decides, and nothing depends on how the market is cut or scaled."""

import math
import pickle
from datetime import date
from functools import cache
from pathlib import Path

import msgspec
import numpy as np
import pytest

from tests.analysis.markets import base_closes, read_panel, series_of, universe
from tests.real_data import real_data
from vcpd.analysis.explain import describe_gate, explain
from vcpd.analysis.screen import screen_rows
from vcpd.analysis.tasks import ScreenParams, ScreenResult
from vcpd.analysis.thresholds import Thresholds
from vcpd.analysis.verdicts import ScoreInputs, score_components, total_score
from vcpd.domain.bars import BarSeries
from vcpd.domain.panel import Panel, build_panel
from vcpd.domain.setups import SCORE_DESCRIPTION, SCORE_MEASURED, BaseState, Gate, Setup

FEW = Thresholds(min_rs_universe=5)


def judged(panel: Panel, as_of: date | None = None, thresholds: Thresholds = FEW) -> ScreenResult:
    return screen_rows(panel, range(len(panel.symbols)), ScreenParams(as_of=as_of, thresholds=thresholds))


@cache
def market() -> Panel:
    """Random walks around a few planted bases, so that some symbols have everything."""
    planted = [
        series_of(f"P{number}", base_closes(depths, before=320), spread=0.004, seed=number)
        for number, depths in enumerate([(25.0, 12.0, 6.0), (20.0, 9.0, 4.0), (30.0, 16.0, 8.0, 4.0)])
    ]
    shortest = min(len(series) for series in planted)
    aligned = [
        BarSeries(series.symbol, series.records[len(series) - shortest :].copy()) for series in planted
    ]
    for entry in aligned:
        entry.records["session"] = aligned[0].sessions
    return build_panel([*aligned, *universe(30, shortest)], aligned[0])


@cache
def fno() -> Panel:
    return read_panel(real_data("nse_fno208.parquet"), real_data("nse_indices.parquet"))


def encoded(setup: Setup) -> bytes:
    return msgspec.json.encode(setup)


def test_planted_bases_pass_every_gate() -> None:
    """A strong advance with a textbook base is a setup; its gates all hold and nothing is missed."""
    setups = {setup.symbol: setup for setup in judged(market()).setups}
    for symbol, count in (("P0", 3), ("P1", 3), ("P2", 4)):
        setup = setups[symbol]
        assert setup.passed, explain(setup)
        assert len(setup.contractions) == count
        assert setup.state in {BaseState.FORMING, BaseState.NEAR_PIVOT}
        assert setup.nearest_miss is None
        assert setup.score > 40
        assert_between(setup.stop, setup.close, setup.pivot)


def assert_between(stop: float | None, close: float | None, pivot: float | None) -> None:
    assert stop is not None
    assert pivot is not None
    assert close is not None
    assert stop < close <= pivot


def test_every_row_has_a_verdict_with_all_gates_or_a_reason() -> None:
    """No symbol is dropped in silence: gates for those judged, a reason for the others."""
    panel = market()
    setups = judged(panel).setups
    assert [setup.symbol for setup in setups] == list(panel.symbols)
    names = {tuple(sorted(setup.gates)) for setup in setups if setup.reason is None}
    assert len(names) == 1
    absent = [setup for setup in setups if setup.reason is not None]
    assert absent
    assert all("no bar at this session" in (setup.reason or "") for setup in absent)
    assert all(explain(setup) for setup in setups)


def test_verdicts_are_json_without_nan() -> None:
    """Whatever is unknown is null, never NaN."""
    for setup in judged(market()).setups:
        assert b"NaN" not in encoded(setup)
        assert msgspec.json.decode(encoded(setup), type=Setup) == setup


def test_verdicts_travel_between_processes_unchanged() -> None:
    """What a worker sends is what arrives."""
    whole = judged(market())
    assert pickle.loads(pickle.dumps(whole)) == whole


def test_truncated_history_gives_the_same_bits_on_real_data() -> None:
    """200 random (symbol, session) pairs: bars after the session change nothing, to the last bit."""
    panel = fno()
    rng = np.random.default_rng(11)
    days = rng.choice(np.arange(300, len(panel.sessions) - 30), 20, replace=False)
    checked = 0
    for day in days.tolist():
        as_of = panel.sessions[day].item()
        cut = Panel(
            panel.symbols,
            panel.sessions[: day + 1].copy(),
            panel.values[:, :, : day + 1].copy(),
            panel.provisional[:, : day + 1].copy(),
            panel.index_close[: day + 1].copy(),
            panel.tick_size,
        )
        for row in rng.choice(len(panel.symbols), 10, replace=False).tolist():
            rows = range(row, row + 1)
            full, truncated = (
                screen_rows(panel, rows, ScreenParams(as_of=as_of)),
                screen_rows(cut, rows, ScreenParams()),
            )
            assert msgspec.json.encode(full) == msgspec.json.encode(truncated)
            checked += 1
    assert checked == 200


def test_chunks_do_not_matter() -> None:
    """The whole universe at once, or in pieces of any size: the same verdicts and bases."""
    panel = market()
    whole = judged(panel)
    for size in (1, 7):
        rows = range(len(panel.symbols))
        parts = [
            screen_rows(panel, rows[at : at + size], ScreenParams(thresholds=FEW)) for at in rows[::size]
        ]
        assert [setup for part in parts for setup in part.setups] == whole.setups
        assert [base for part in parts for base in part.bases] == whole.bases


def test_any_range_of_rows_may_be_asked_for() -> None:
    """Every third row alone gives those rows' verdicts."""
    panel = market()
    some = screen_rows(panel, range(1, len(panel.symbols), 3), ScreenParams(thresholds=FEW))
    assert some.setups == judged(panel).setups[1::3]


def test_order_of_symbols_does_not_matter() -> None:
    """A panel with its rows shuffled gives each symbol the same verdict."""
    panel = market()
    order = np.random.default_rng(3).permutation(len(panel.symbols))
    shuffled = Panel(
        tuple(panel.symbols[row] for row in order),
        panel.sessions,
        panel.values[:, order, :],
        panel.provisional[order],
        panel.index_close,
        panel.tick_size[order],
    )
    expected = {setup.symbol: setup for setup in judged(panel).setups}
    assert {setup.symbol: setup for setup in judged(shuffled).setups} == expected


def scaled(panel: Panel, factor: float) -> Panel:
    values = panel.values.copy()
    values[:4] *= factor
    values[4] /= factor
    return Panel(
        panel.symbols, panel.sessions, values, panel.provisional, panel.index_close, panel.tick_size * factor
    )


@pytest.mark.parametrize("factor", [4.0, 0.25, 3.7])
def test_scale_and_split_do_not_matter(factor: float) -> None:
    """Prices times a constant, volume divided by it (a back-adjusted split): same structure and gates."""
    for setup, other in zip(judged(market()).setups, judged(scaled(market(), factor)).setups, strict=True):
        assert (setup.footprint, setup.state, setup.passed) == (other.footprint, other.state, other.passed)
        assert {name: gate.passed for name, gate in setup.gates.items()} == {
            name: gate.passed for name, gate in other.gates.items()
        }
        assert setup.score == pytest.approx(other.score, abs=0.02)
        dates = [(leg.high_date, leg.low_date) for leg in setup.contractions]
        assert dates == [(leg.high_date, leg.low_date) for leg in other.contractions]


def test_excluded_symbols_are_neither_judged_nor_rated() -> None:
    """A flagged symbol carries its reason, and the others are rated as if it were not there."""
    panel = market()
    excluded = Panel(
        panel.symbols,
        panel.sessions,
        panel.values,
        panel.provisional,
        panel.index_close,
        panel.tick_size,
        {"P0": "scale break"},
    )
    without = build_panel([series for series in _series(panel) if series.symbol != "P0"])
    verdicts = {setup.symbol: setup for setup in judged(excluded).setups}
    assert verdicts["P0"].reason == "scale break"
    assert not verdicts["P0"].passed
    expected = {setup.symbol: setup.rs_rating for setup in judged(without).setups}
    assert {name: setup.rs_rating for name, setup in verdicts.items() if name != "P0"} == expected


def _series(panel: Panel) -> list[BarSeries]:
    made = []
    for row, symbol in enumerate(panel.symbols):
        known = ~np.isnan(panel.close[row])
        planes = tuple(plane[row, known] for plane in (panel.open, panel.high, panel.low, panel.close))
        made.append(
            BarSeries.from_columns(
                symbol,
                panel.sessions[known],
                (planes[0], planes[1], planes[2], planes[3]),
                panel.volume[row, known],
            )
        )
    return made


@pytest.mark.parametrize("missing", [np.nan, 0.0], ids=["missing", "written as zero"])
def test_missing_volume_is_unknown_and_confirms_nothing(missing: float) -> None:
    """Without volume the dry-up is null, and a breakout stays unconfirmed.

    Also where the breakout's is the first known: more than nothing is no multiple of it.
    """
    close = base_closes((25.0, 12.0, 6.0), before=320)
    breakout = np.concatenate([close, [close.max() * 0.985, close.max() * 1.01]])
    series = series_of("A", breakout, spread=0.002)
    series.records["volume"] = missing
    series.records["volume"][-1] = 1e5
    result = screen_rows(build_panel([series]), range(1), ScreenParams())
    setup = result.setups[0]
    assert setup.measures["dry_up"] is None
    assert setup.measures["dry"] is None
    kinds = [event.kind.value for event in setup.events]
    assert "breakout_unconfirmed" in kinds
    assert "breakout" not in kinds


def test_young_listing_is_judged_on_what_it_has() -> None:
    """With 120 bars the averages of 150 and 200 are unknown, not failed; the verdict says young."""
    close = base_closes((22.0, 9.0, 4.0), before=70)
    setup = screen_rows(build_panel([series_of("A", close)]), range(1), ScreenParams()).setups[0]
    assert setup.young
    assert setup.gates["trend_sma150_above_sma200"].passed is None
    assert setup.gates["trend_close_above_sma50"].passed is not None
    assert setup.footprint is not None


def test_explain_names_the_nearest_miss_first() -> None:
    """A base whose last fall is a bit too deep says so, with both numbers."""
    close = base_closes((26.0, 11.2), before=320)
    setup = screen_rows(build_panel([series_of("A", close, spread=0.0005)]), range(1), ScreenParams()).setups[
        0
    ]
    lines = explain(setup)
    assert not setup.passed
    assert lines[1].startswith("would be a setup but for: final contraction 11.")
    assert "%, at most 10 %" in lines[1]
    assert any(line.startswith("fails") for line in lines)


@pytest.mark.parametrize(
    ("value", "limit", "words"),
    [
        (11.2, 10.0, "final contraction 11.2 %, at most 10 %"),
        (0.3103, 0.5, "final over first contraction 0.3103, at most 0.5"),
        (20007.0, 13960.25, "close above SMA 50 20007, above 13960"),
        (66.5512, 66.5514, "close above SMA 50 66.5512, above 66.5514"),
        (140250.4, 140251.4, "close above SMA 50 140250, above 140251"),
        (0.0, 0.0, "sessions since the base was last intact 0, at most 0"),
    ],
)
def test_numbers_are_reported_in_full_and_never_look_equal_when_they_are_not(
    value: float, limit: float, words: str
) -> None:
    names = {
        "final c": "final_contraction",
        "final o": "final_to_first",
        "close a": "trend_close_above_sma50",
    }
    name = names.get(words[:7], "base_intact")
    assert describe_gate(name, Gate(value <= limit, value, limit)) == words


def test_empty_panel_and_sessions_before_the_first() -> None:
    """No sessions at all, or a day before the market's first: nothing to judge, nothing breaks."""
    assert screen_rows(build_panel([]), range(0), ScreenParams()).setups == []
    assert screen_rows(market(), range(2), ScreenParams(as_of=date(1999, 1, 1))).setups == []


def test_real_market_has_setups_in_sane_numbers() -> None:
    """On the F&O universe some, but few, symbols are setups on an ordinary day of a rising market."""
    setups = judged(fno(), date(2024, 1, 31), Thresholds()).setups
    share = sum(setup.passed for setup in setups) / len(setups)
    assert 0.003 < share < 0.08


QUIET = ScoreInputs(
    atr_pct=1.5, range_pct=4.0, final_depth_pct=3.0, above_pivot_pct=0.0, weeks=30, advance_pct=30.0
)


def test_a_quiet_long_base_at_its_pivot_after_a_small_advance_earns_all_points() -> None:
    assert total_score(score_components(QUIET), BaseState.NEAR_PIVOT) == 100
    assert total_score(score_components(QUIET), BaseState.SQUAT) < 100


@pytest.mark.parametrize(
    ("field", "worse", "component"),
    [
        ("atr_pct", 3.0, "small_atr"),
        ("range_pct", 8.0, "narrow_range"),
        ("final_depth_pct", 6.0, "shallow_final_contraction"),
        ("above_pivot_pct", -5.0, "closeness"),
        ("above_pivot_pct", 2.5, "closeness"),
        ("weeks", 12, "length"),
        ("advance_pct", 75.0, "small_advance"),
    ],
)
def test_each_part_of_the_score_earns_less_where_its_measure_is_worse_or_unknown(
    field: str, worse: float, component: str
) -> None:
    best = score_components(QUIET)
    for value in (worse, math.nan):
        points = score_components(QUIET._replace(**{field: value}))
        assert points[component] < best[component]
        assert {**points, component: 0} == {**best, component: 0}


def test_what_a_score_has_been_worth_stands_in_the_documents_as_in_the_program() -> None:
    text = " ".join(Path("docs/detector.md").read_text(encoding="utf-8").split())
    assert SCORE_DESCRIPTION in text
    assert SCORE_MEASURED in text
    assert "%" not in SCORE_DESCRIPTION
