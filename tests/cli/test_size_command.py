"""From setups to plans and bets: pure steps between the store and the answers."""

from pathlib import Path

import msgspec
import pytest

from tests.cli.bar_files import write_bars
from tests.fakes.web import setup
from vcpd.analysis.crowding import Cluster, Crowding, SectorGroup
from vcpd.analysis.sizing import position_plan, position_size
from vcpd.analysis.sizing_parameters import SizingParameters
from vcpd.app.status import crowding_candidates, merge_crowding
from vcpd.cli.main import main
from vcpd.core.errors import BadInputError
from vcpd.domain.risk import RiskBand, RiskScore
from vcpd.domain.setups import BaseState, Setup

FAILED = msgspec.structs.replace(setup("NSE:AAA", state=BaseState.FAILED, passed=False), events=())


def test_the_entry_is_the_pivot_or_the_close_above_it() -> None:
    below = setup("NSE:AAA")  # pivot 100, close 98, stop 94
    assert (position_plan(below, 1e6).entry, position_plan(below, 1e6).stop) == (100.0, 94.0)
    above = Setup(**{**{name: getattr(below, name) for name in below.__struct_fields__}, "close": 103.5})
    assert position_plan(above, 1e6).entry == 103.5


def test_the_entry_is_where_the_buy_zone_begins() -> None:
    """One tick above the pivot, from where the setup's own risk is counted."""
    zoned = msgspec.structs.replace(setup("NSE:AAA"), buy_zone=(100.05, 105.0))
    assert position_plan(zoned, 1e6).entry == 100.05


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (setup("NSE:AAA", state=BaseState.NEAR_PIVOT), "10W 20/5 3T, NEAR_PIVOT: every gate holds"),
        (setup("NSE:AAA", state=BaseState.EXTENDED, passed=False), "EXTENDED: followed since"),
        (msgspec.structs.replace(FAILED, nearest_miss="would be"), "FAILED, no setup: would be"),
        (Setup.unevaluated("NSE:AAA", FAILED.as_of, "suspended"), "no setup: suspended"),
    ],
    ids=["holds", "followed", "failed", "unjudged"],
)
def test_a_plan_says_where_its_base_stands(verdict: Setup, words: str) -> None:
    """A failed base may be sized, but not by mistake."""
    plan = position_plan(verdict, 1e6, entry=100.0, stop=94.0)
    assert words in (plan.base_status or "")
    assert position_size(plan, None, SizingParameters()).steps[0].text == plan.base_status


def test_prices_of_ones_own_win() -> None:
    plan = position_plan(setup("NSE:AAA"), 1e6, entry=101.0, stop=90.0)
    assert (plan.entry, plan.stop, plan.stop_name, plan.equity) == (101.0, 90.0, "given", 1e6)


DEEP = msgspec.structs.replace(setup("NSE:AAA"), structural_stop=90.0)  # capped at 94, entry 100


def test_the_stop_is_the_chosen_one_and_the_other_is_said_to_mean() -> None:
    metrics = {"median_traded_value": 1e9}
    calm = RiskScore(
        symbol="NSE:AAA", as_of=DEEP.as_of, score=1.0, band=RiskBand.LOW, components={}, metrics=metrics
    )
    capped = position_size(position_plan(DEEP, 1e6), calm, SizingParameters())
    structural = position_size(position_plan(DEEP, 1e6, stop_choice="structural"), calm, SizingParameters())
    assert (capped.stop, capped.stop_name) == (94.0, "capped")
    assert (structural.stop, structural.stop_name) == (90.0, "structural")
    assert capped.steps[-1].text.startswith(
        "with the structural stop 90.00 (10.0 %): 500 shares, at risk 5,000.00"
    )
    assert structural.steps[-1].text.startswith("with the capped stop 94.00 (6.0 %): 833 shares")


@pytest.mark.parametrize(
    ("structural", "words"),
    [(94.0, "the structural stop is the same"), (101.0, "is not below the entry"), (None, None)],
)
def test_a_second_stop_that_changes_nothing_is_said_to(structural: float | None, words: str | None) -> None:
    verdict = msgspec.structs.replace(DEEP, structural_stop=structural)
    steps = position_size(position_plan(verdict, 1e6), None, SizingParameters()).steps
    other = [step for step in steps if step.name == "other_stop"]
    assert [words in step.text for step in other if words] == ([True] if words else [])
    assert len(other) == (structural is not None)
    fallback = position_plan(verdict, 1e6, stop_choice="structural")
    assert fallback.stop_name == ("capped" if structural is None else "structural")


def test_a_stop_of_ones_own_is_compared_with_both() -> None:
    plan = position_plan(DEEP, 1e6, stop=95.0)
    assert [(other.name, other.price) for other in plan.other_stops] == [
        ("capped", 94.0),
        ("structural", 90.0),
    ]


def test_without_a_base_there_is_nothing_to_enter_at() -> None:
    none = Setup.unevaluated("NSE:AAA", setup("x").as_of, "suspended")
    with pytest.raises(BadInputError, match="suspended"):
        position_plan(none, 1e6)
    with pytest.raises(BadInputError):
        position_plan(none, 1e6, entry=100.0)
    assert position_plan(none, 1e6, entry=100.0, stop=95.0).symbol == "NSE:AAA"


def test_candidates_are_the_listed_ones_that_the_panel_holds() -> None:
    setups = [
        setup("NSE:A"),
        setup("NSE:B", passed=False),
        setup("NSE:C", state=BaseState.FORMING),
        setup("NSE:D"),
    ]
    assert crowding_candidates(setups, ["NSE:A", "NSE:B", "NSE:C"]) == ("NSE:A", "NSE:C")


def test_chunks_are_joined_with_the_largest_bet_first_and_nothing_lost() -> None:
    report = Crowding((Cluster(("A",), None, ()),), ("A",), 2.5)
    other = Crowding((Cluster(("B", "C"), 0.8, ()), Cluster(("D",), None, ())), (), 2.5)
    whole = merge_crowding([report, other])
    assert [cluster.members for cluster in whole.clusters] == [("B", "C"), ("A",), ("D",)]
    assert (whole.unknown, whole.effective_bets) == (("A",), 2.5)
    large, small = SectorGroup("Steel", ("A", "B", "C"), 0.5), SectorGroup("Power", ("D", "E"), None)
    parts = [Crowding((), (), 2.5, (small,)), Crowding((), (), 2.5, (large,))]
    assert merge_crowding(parts).sectors == (large, small)
    assert merge_crowding([]) == Crowding((), (), 0.0)


def test_the_account_is_that_of_the_configuration_where_none_is_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, bars = tmp_path / "config.toml", write_bars(tmp_path / "bars.parquet")
    prices = ["--entry", "100", "--stop", "95", "--bars", str(bars)]
    words = ["size", "--symbol", "AAA", *prices, "--config", str(path)]
    path.write_text("", encoding="utf-8")
    assert main(words) == 65
    assert "[size] equity" in capsys.readouterr().err
    path.write_text("[size]\nequity = 1e6\n", encoding="utf-8")
    assert main(words) == 0


def test_a_past_session_is_refused_where_the_daemon_sizes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["size", "--symbol", "AAA", "--as-of", "2025-06-30"]) == 65
    assert "--as-of goes with --bars" in capsys.readouterr().err
