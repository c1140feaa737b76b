"""Texts with facts: everything an owner may write is either refused with a reason or filled in."""

from string import Formatter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.alerts.samples import ZONE, alert, digest
from vcpd.alerts.templates import (
    DEFAULT_TEMPLATES,
    VARIABLES_BY_KIND,
    DigestTemplate,
    Template,
    Templates,
    compose,
    idempotency_key,
    item_variables,
    render,
    single_line,
    template_problems,
    template_variables,
    truncate,
    variables_of,
)
from vcpd.domain.alerts import AlertKind

FACTS = variables_of(AlertKind.BREAKOUT)
PIECES = st.sampled_from(
    ["{pivot}", "{pivot:.2f}", "{name:>8}", "{foo}", "{", "}", "{{", "{pivot.real}", "{0}", "{}", "\n", " x",
     "{pivot!r}", "{pivot:{rating}}", "{pivot:9999d}", "{name:.2f}", "{rating:,}", "{price:%}"]
)  # fmt: skip
VALUES = st.one_of(st.none(), st.integers(), st.floats(), st.text(max_size=20))


@given(
    text=st.one_of(st.lists(PIECES, max_size=6).map("".join), st.text(max_size=40)),
    facts=st.dictionaries(st.sampled_from(sorted(FACTS)), VALUES),
)
def test_a_text_without_problems_can_always_be_filled_in(text: str, facts: dict[str, object]) -> None:
    if not list(template_problems(text, FACTS)):
        render(text, facts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "{pivot.__class__}",
        "{pivot[0]}",
        "{pivot!r}",
        "{0}",
        "{}",
        "{pivot:{rating}}",
        "{pivot:999999999}",
        "{name:.2f}",
        "{unheard_of}",
        "{pivot",
        "pivot}",
    ],
)
def test_nothing_but_a_known_name_and_a_plain_format_is_taken(text: str) -> None:
    assert list(template_problems(text, FACTS))


def test_a_problem_names_what_is_known() -> None:
    (problem,) = template_problems("{pivto}", FACTS)
    assert "no fact `pivto`" in problem
    assert "pivot, price" in problem


def test_a_wrong_template_is_refused_when_it_is_loaded_with_its_place() -> None:
    with pytest.raises(ValueError, match=r"squat\.body: there is no fact `foo`"):
        Templates(squat=Template(body="{foo}"))
    with pytest.raises(ValueError, match=r"setups\.item: there is no fact `headline`"):
        Templates(setups=DigestTemplate(item="{headline}"))


def test_an_owner_may_change_the_title_alone() -> None:
    templates = Templates(breakout=Template(title="Ho! {name}"))
    assert templates.of(AlertKind.BREAKOUT).title == "Ho! {name}"
    assert templates.of(AlertKind.BREAKOUT).body == DEFAULT_TEMPLATES.breakout.body


def test_every_kind_has_words_of_its_own_that_use_known_facts_only() -> None:
    for kind in AlertKind:
        template = Templates().of(kind)
        assert template.title
        names = {name for _, name, _, _ in Formatter().parse(template.title + template.body) if name}
        assert names <= set(variables_of(kind))
    assert set(VARIABLES_BY_KIND) == set(AlertKind)


def test_unknown_facts_leave_a_dash_and_lines_of_nothing_else_go() -> None:
    facts = {"pivot": 100.0, "stop": None, "rating": None}
    assert render("pivot {pivot}, stop {stop}\nRS {rating}\nend", facts) == "pivot 100.00, stop -\nend"


def test_a_fact_of_another_type_than_usual_is_written_plainly() -> None:
    assert render("{pivot:.2f} {name:>5}|", {"pivot": "soon", "name": 7}) == "soon     7|"


def test_titles_are_one_line_whatever_the_facts_hold() -> None:
    assert single_line("a\r\nBcc: x\x00\t b ") == "a Bcc: x b"
    message = compose([alert("A\nB")], "mail", Templates(), ZONE)
    assert "\n" not in message.title


def test_a_provisional_alert_says_so() -> None:
    message = compose([alert(provisional=True)], "mail", Templates(), ZONE)
    assert message.body.endswith("provisional: the close decides")
    assert "provisional" not in compose([alert()], "mail", Templates(), ZONE).body


def test_a_digest_has_a_line_for_each_setup() -> None:
    message = compose([digest("AAA", "BBB")], "mail", Templates(), ZONE)
    assert message.title == "2 new setups after 2026-04-08"
    assert [line.split()[0] for line in message.body.splitlines()] == ["score:", "AAA", "BBB"]


def test_the_key_is_of_the_alerts_and_the_channel() -> None:
    first, other = alert("AAA"), alert("BBB")
    assert idempotency_key("mail", [first]) == idempotency_key("mail", [first])
    assert (
        len(
            {
                idempotency_key("mail", [first]),
                idempotency_key("ntfy", [first]),
                idempotency_key("mail", [first, other]),
            }
        )
        == 3
    )


def test_rows_of_a_digest_know_the_facts_that_its_template_may_name() -> None:
    assert {"pivot", "rating", "footprint", "name"} <= set(item_variables())
    assert template_variables(alert(), "mail", ZONE)["at"] == "Wed 2026-04-08 16:30"


@given(text=st.text(max_size=400), most=st.integers(60, 200))
def test_a_text_that_is_too_long_is_cut_by_lines_and_says_so(text: str, most: int) -> None:
    short = truncate(text, most)
    assert len(short.encode()) <= most
    if len(text.encode()) <= most:
        assert short == text


def test_a_cut_text_counts_what_it_leaves_out() -> None:
    text = "\n".join(f"line {number}" for number in range(100))
    assert truncate(text, 60).splitlines()[-1].startswith("... and ")
