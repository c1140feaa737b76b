"""What the exchange's free text means for a price, against factors that others worked out of it."""

from datetime import date

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.real_data import real_data
from vcpd.bhavcopy.action_terms import combined_factor, read_purpose
from vcpd.bhavcopy.corporate_actions import merge_actions, parse_actions
from vcpd.core.errors import BadInputError

SPLIT = "Face Value Split (Sub-Division) - From Rs 10/- Per Share To Rs 2/- Per Share"


def factor(subject: str) -> float | None:
    purpose = read_purpose(subject)
    return None if purpose.unclear else combined_factor(purpose.terms)


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        (SPLIT, 0.2),
        ("Bonus 1:4", 0.8),
        (" Bonus 17:25", 25 / 42),
        (f"Bonus 1:1 | {SPLIT}", 0.1),
        ("Annual General Meeting/ Bonus 2:1 And Face Value Split From Rs.10/- To Re.1/-", 1 / 30),
        ("FVSPLT FRM RS100 TO RS 1", 0.01),
        ("Face Value Split (Sub-Division) - From Rs10/- Per Share To Re 1/- Per Share", 0.1),
        ("Fv Split Rs.10/- To Rs.2.50/-", 0.25),
        ("Consolidation Of Shares From Re 1 To Rs 10", 10.0),
        ("Bonus NCRPS 1:1/ Bonus 1:2", 2 / 3),
        ("Bonus Debentures 1:1", 1.0),
        ("Bonus Dvr 1:10", 1.0),
        ("Bonus 1:20 Dvr Equity Shares", 1.0),
        ("Bonus 1:20 Shares With Differential Voting Rights", 1.0),
        ("Bonus 4:1 Preference Shares", 1.0),
        ("Bonus 1:1 Equity And Bonus 1:10 Dvr", 0.5),
        ("Bonus Preference Shares 3:1 | Bonus 1:1", 0.5),
        ("Bonus 1:1 / Dividend On Preference Shares", 0.5),
        ("Bonus 1:1 And Warrants", 0.5),
        ("Bonus Warrants 1:4", 1.0),
        ("Interim Dividend - Rs 8 Per Share", 1.0),
        ("Rights 1:4 @ Premium Rs 10/-", 1.0),
        ("Scheme Of Arrangement", None),
        ("FV SPLT FRM RS 10 TO RE 1", 0.1),
        ("FVSPLT FRM RS 10 TO RS 5", 0.5),
        ("BONUS 1:1/FV SPL 10 TO 2", 0.1),
        ("SCH AGMT-BONUS NCRPS 4:1", 1.0),
        ("RIGHTS 3:8@ PRM RS 14/-", 1.0),
        ("CAP RED", None),
        ("BUY BACK", 1.0),
        ("FIRST CL RS 450 PR SH", 1.0),
        ("INTEREST PAYMENT", 1.0),
        ("FV SPLT FRM RS 10 TO RS", None),
        ("AGM/BONUS 1:2/DIV-RS 2 PER SH", 2 / 3),
        ("Factor 0.75", 0.75),
        ("No Adjustment", 1.0),
        ("Something Else Altogether", None),
        ("Demerger", 1.0),
        ("Bonus Issue", None),
        ("Stock Split", None),
        ("Bonus 0:1", None),
    ],
)
def test_a_subject_s_factor(subject: str, expected: float | None) -> None:
    assert factor(subject) == (None if expected is None else pytest.approx(expected))


def test_every_listed_split_and_bonus_of_seven_years_is_understood() -> None:
    events = pl.read_parquet(real_data("corporate_actions/nse_split_bonus_events_2019_2026H1.parquet"))
    wrong = [
        (row["symbol"], row["subject"], row["f"], factor(row["subject"]))
        for row in events.iter_rows(named=True)
        if factor(row["subject"]) != pytest.approx(row["f"], abs=2e-6)
    ]
    assert len(events) > 500
    assert wrong == []


def test_the_site_s_own_answer_is_understood() -> None:
    """The file holds a saved answer beside other things; dividends are most of it."""
    rows = parse_actions(real_data("holidays/eod2_meta_2025_holidays_and_actions.json").read_bytes(), "saved")
    actions = {action.symbol: action for action in merge_actions(rows).actions}
    assert len(rows) > len(actions) > 0
    assert (actions["GODFRYPHLP"].ex_date, actions["GODFRYPHLP"].factor) == (date(2025, 9, 16), 1 / 3)


@given(st.integers(1, 50), st.integers(1, 50))
def test_a_bonus_leaves_the_holder_as_rich_as_before(new: int, held: int) -> None:
    assert (factor(f"Bonus {new}:{held}") or 0) * (held + new) == pytest.approx(held)


@given(st.integers(1, 1000), st.integers(1, 1000))
def test_a_split_and_its_consolidation_cancel(before: int, after: int) -> None:
    there = factor(f"Face Value Split - From Rs {before}/- To Rs {after}/-")
    back = factor(f"Consolidation - From Rs {after}/- To Rs {before}/-")
    assert (there or 0) * (back or 0) == pytest.approx(1.0)


def test_an_action_listed_twice_counts_once_and_two_on_a_day_multiply() -> None:
    """A bonus 1:1 and a split from 10 to 5 have the same factor; both happened."""
    rows = [
        ("A", "15-Jul-2024", "Bonus 1:1"),
        ("A", "2024-07-15", "  Bonus  1:1"),
        ("A", "15-Jul-2024", "Face Value Split - From Rs 10/- To Rs 5/-"),
        ("A", "16-Jul-2024", "Dividend - Rs 2 Per Share"),
        ("B", "15-Jul-2024", "Bonus 1:4"),
    ]
    listed = merge_actions(rows)
    changed = [action for action in listed.actions if not action.priced]
    assert [(action.symbol, action.ex_date, action.factor) for action in changed] == [
        ("A", date(2024, 7, 15), 0.25),
        ("B", date(2024, 7, 15), 0.8),
    ]
    assert listed.unclear == ()


def test_what_cannot_be_read_is_kept_for_the_owner() -> None:
    listed = merge_actions([("A", "15-Jul-2024", "Bonus"), ("B", "-", "Bonus 1:1"), ("C", "-", "Dividend")])
    assert listed.actions == ()
    assert [(action.symbol, action.reason, action.is_minor) for action in listed.unclear] == [
        ("A", "names a bonus without its terms", False),
        ("B", "the ex-date is missing", False),
        ("C", "names a dividend without its terms", True),
    ]


@pytest.mark.parametrize(
    "body",
    [
        (
            b'\xef\xbb\xbf"SYMBOL","COMPANY NAME","SERIES","PURPOSE","FACE VALUE","EX-DATE","RECORD DATE"\n'
            b'"ABC","Abc","EQ"," Bonus 1:1","10","05-Aug-2021","06-Aug-2021"\n'
        ),
        (
            b"SERIES,SYMBOL,SECURITY,RECORD_DT,BC_STRT_DT,BC_END_DT,EX_DT,ND_STRT_DT,ND_END_DT,PURPOSE\n"
            b"EQ,ABC,Abc,06/08/2021, , ,05/08/2021, , ,BONUS 1:1\n"
        ),
        b'[{"symbol":"ABC","series":"EQ","subject":"Bonus 1:1","exDate":"05-Aug-2021","isin":null}]',
        b'{"data":[{"symbol":"abc","subject":" Bonus 1:1","exDate":"05-Aug-2021"}]}',
    ],
)
def test_a_list_comes_in_many_clothes(body: bytes) -> None:
    (action,) = merge_actions(parse_actions(body, "list")).actions
    assert (action.symbol, action.ex_date, action.factor) == ("ABC", date(2021, 8, 5), 0.5)


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b"[{", "not valid JSON"),
        (b'{"message":"blocked"}', "expected a list"),
        (b"[1]", "item 1: expected an object"),
        (b'[{"symbol":"A"}]', "item 1: expected symbol, exDate and subject"),
        (b"A,B\n1,2\n", "expected columns SYMBOL, EX-DATE and PURPOSE"),
        (b"<html>", "a web page"),
    ],
)
def test_what_is_no_list_is_refused_by_name(body: bytes, what: str) -> None:
    with pytest.raises(BadInputError, match=f"list.*{what}"):
        parse_actions(body, "list")
