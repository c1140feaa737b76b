"""The scan language: what it reads and refuses, and that no function looks ahead."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.analysis.markets import series_of, universe, walk
from vcpd.analysis.scans.evaluation import evaluate_scan, matches_by_session
from vcpd.analysis.scans.language import BAR_NAMES, FUNCTIONS, MAX_CHARACTERS, VERDICT_NAMES, ScanError
from vcpd.analysis.scans.parser import parse_scan
from vcpd.analysis.scans.presets import PRESETS
from vcpd.analysis.scans.request import ScanParams
from vcpd.core.errors import BadInputError
from vcpd.domain.panel import Panel, build_panel
from vcpd.domain.scans import SymbolVerdict, explain_row

BARS = 330
PANEL: Panel = build_panel(universe(15, BARS), series_of("INDEX", walk(5, BARS, volatility=0.008)))


@pytest.mark.parametrize(
    ("expression", "position", "problem"),
    [
        ("", 1, "it is empty"),
        ("clos > 3", 1, "unknown name 'clos'; did you mean close or lowest or low?"),
        ("  close > smaa(50)", 11, "unknown function 'smaa'; did you mean sma"),
        ("close > sma(-3)", 13, "look ahead"),
        ("close > ago(close, -1)", 20, "look ahead"),
        ("close > sma(5000)", 13, "from 1 to 756"),
        ("close > sma(close)", 13, "expected sma(x = close, n)"),
        ("close > sma", 9, "sma is a function"),
        ("close", 1, "this is a number; expected a condition"),
        ("close >", 1, "not an expression"),
        ("import os", 1, "not an expression"),
        ("__import__('os') > 1", 1, "unknown function"),
        ("close.real > 1", 1, "not allowed"),
        ("close[0] > 1", 1, "not allowed"),
        ("(lambda: 1)(1)", 8, "the character ':' has no meaning"),
        ("mean(score, 3) > 1", 6, "score is known at the session itself only"),
        ("weekly(rs) > 80", 8, "rs cannot be used in weekly()"),
        ("state == 3", 10, "expected a text"),
        ("close ** 2 > 1", 1, "expected +, -, * or /"),
        ("close > 1e999", 9, "too large"),
        ("close > 1 and volume", 15, "this is a number; expected a condition"),
        ("close > sma(n=3)", 9, "expected sma"),
        ("close > 1 # note", 11, "has no meaning"),
    ],
)
def test_what_is_wrong_is_named_with_its_position(expression: str, position: int, problem: str) -> None:
    with pytest.raises(ScanError) as raised:
        parse_scan(expression)
    assert problem in str(raised.value)
    assert raised.value.position in {position - 1, len(expression)}


@pytest.mark.parametrize(
    "expression",
    ["close > " + "(" * 300 + "1" + ")" * 300, "-" * 200 + "close > 1", "close > 1 and " * 200 + "close > 1"],
)
def test_what_is_too_deep_or_too_long_is_refused(expression: str) -> None:
    with pytest.raises(ScanError):
        parse_scan(expression)


@given(st.text(max_size=MAX_CHARACTERS + 5))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_or_refused_by_name(text: str) -> None:
    try:
        parse_scan(text)
    except ScanError as error:
        assert "scan, character" in str(error)  # noqa: PT017 - a text may be read as well


ARGUMENTS = {"number": "close * volume / 1000", "condition": "close > open"}


def _call(name: str, window: int) -> str:
    signature = FUNCTIONS[name]
    given_arguments = [ARGUMENTS[kind] for kind in signature.takes]
    if len(given_arguments) == 2:
        given_arguments[1] = "sma(volume, 3) * sma(3) / 1000"
    call = f"{name}({', '.join([*given_arguments, *([str(window)] if signature.has_window else [])])})"
    return f"{call} != 1" if signature.gives == "number" else call


CALLS = [*FUNCTIONS, *(name for name in BAR_NAMES)]


@pytest.mark.parametrize("name", CALLS)
@given(cut=st.integers(5, BARS - 2), window=st.integers(2, 30))
@settings(max_examples=8, deadline=None)
def test_no_function_repaints(name: str, cut: int, window: int) -> None:
    """A session's values over the history up to it are those that the whole history gives for it."""
    expression = _call(name, window) if name in FUNCTIONS else f"{name} != 1"
    as_of = PANEL.sessions[cut].item()
    later = evaluate_scan(PANEL, ScanParams(expression=expression, as_of=as_of))
    values = PANEL.values[:, :, : cut + 1].copy()
    then = Panel(
        PANEL.symbols,
        PANEL.sessions[: cut + 1],
        values,
        PANEL.provisional[:, : cut + 1],
        PANEL.index_close[: cut + 1],
        PANEL.tick_size,
    )
    assert evaluate_scan(then, ScanParams(expression=expression)) == later
    every = matches_by_session(PANEL, expression)
    assert {row.symbol for row in later.items} == {PANEL.symbols[row] for row in every[:, cut].nonzero()[0]}


@pytest.mark.parametrize("name", [name for name in PRESETS if name != "dry_up_near_pivot"])
def test_no_preset_repaints(name: str) -> None:
    expression = PRESETS[name].expression
    every = matches_by_session(PANEL, expression)
    for cut in (BARS - 3, BARS - 20):
        result = evaluate_scan(PANEL, ScanParams(expression=expression, as_of=PANEL.sessions[cut].item()))
        assert {row.symbol for row in result.items} == {
            PANEL.symbols[row] for row in every[:, cut].nonzero()[0]
        }


def test_an_answer_names_each_clause_with_its_values_and_the_first_that_fails() -> None:
    scan = ScanParams(expression="close > 0 and 0 < volume < 1 and score > 50", symbol="S000")
    with pytest.raises(BadInputError, match="score: the session has no stored verdicts"):
        evaluate_scan(PANEL, scan)
    parameters = ScanParams(
        expression=scan.expression, symbol="S000", verdicts=(SymbolVerdict("S000", score=70.0),)
    )
    result = evaluate_scan(PANEL, parameters)
    assert result.explained is not None
    assert [clause.holds for clause in result.explained.clauses] == [True, False, True]
    assert result.explained.clauses[2].values == {"score": 70.0}
    assert result.failures == {"close > 0": 0, "0 < volume < 1": result.evaluated, "score > 50": 0}
    lines = list(explain_row(result.explained))
    assert lines[0] == "S000: does not match"
    assert lines[2].startswith("  fails    0 < volume < 1  [volume = ")
    assert lines[2].endswith("fails first")


def test_a_value_that_needs_more_bars_is_unknown_and_no_match() -> None:
    early = PANEL.sessions[20].item()
    result = evaluate_scan(PANEL, ScanParams(expression="not close > sma(50)", as_of=early, symbol="S000"))
    assert result.count == 0
    assert result.explained is not None
    assert result.explained.clauses[0].holds is None


def test_a_symbol_without_a_bar_and_an_unknown_symbol_are_said() -> None:
    lacking = evaluate_scan(PANEL, ScanParams(expression="close > 0", symbol="S002"))
    assert lacking.explained is not None
    assert lacking.explained.reason == "no bar at this session"
    with pytest.raises(BadInputError, match="symbol: ABC is not in the panel"):
        evaluate_scan(PANEL, ScanParams(expression="close > 0", symbol="ABC"))


def test_the_page_on_scans_lists_every_function_name_and_preset() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "scans.md").read_text(encoding="utf-8")
    lines = [
        f"| `{name}({signature.parameters})` | {signature.meaning} |" for name, signature in FUNCTIONS.items()
    ]
    lines += [f"| `{name}` | {meaning} |" for name, meaning in BAR_NAMES.items()]
    lines += [f"| `{name}` | {kind} | {meaning} |" for name, (kind, meaning) in VERDICT_NAMES.items()]
    lines += [
        f"| `{name}` | {preset.title} | `{preset.expression}` | {preset.source} |"
        for name, preset in PRESETS.items()
    ]
    assert [line for line in lines if line not in text] == []
