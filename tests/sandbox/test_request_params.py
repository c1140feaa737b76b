"""What a client may ask, and the words it gets when it asks wrongly."""

import pytest

from vcpd.sandbox.protocol import (
    MAX_SPAN_DAYS,
    ApiError,
    form_field,
    parse_candle_request,
    parse_quote_symbols,
)

SPAN = {"from": "2026-07-01 09:15:00", "to": "2026-07-15"}


def test_both_ways_to_write_an_instant_are_taken() -> None:
    """`yyyy-mm-dd HH:MM:SS` and `yyyy-mm-dd` mean the same day; both ends are included."""
    question = parse_candle_request("408065", "day", {**SPAN, "oi": "1"})
    assert question.token == 408065
    assert question.step_minutes is None
    assert (question.first.isoformat(), question.last.isoformat()) == (
        "2026-07-01T09:15:00",
        "2026-07-15T00:00:00",
    )
    assert question.open_interest


@pytest.mark.parametrize(
    ("token", "interval", "changes", "message"),
    [
        ("408065", "week", {}, "invalid interval"),
        ("INFY", "day", {}, "invalid token"),
        ("408065", "day", {"from": "01-07-2026"}, "invalid from date"),
        ("408065", "day", {"to": ""}, "invalid to date"),
        ("408065", "day", {"from": "2026-07-16"}, "cannot be after"),
        ("408065", "day", {"from": "2020-01-01"}, "2000 days"),
        ("408065", "minute", {"from": "2026-05-01"}, "60 days"),
        ("408065", "day", {"continuous": "1"}, "continuous"),
        ("408065", "day", {"oi": "yes"}, "expected 0 or 1"),
    ],
)
def test_wrong_questions_are_refused_as_input_errors(
    token: str, interval: str, changes: dict[str, str], message: str
) -> None:
    """Each mistake has its InputException with status 400 and says what is wrong."""
    with pytest.raises(ApiError, match=message) as refusal:
        parse_candle_request(token, interval, {**SPAN, **changes})
    assert (refusal.value.error_type, refusal.value.status) == ("InputException", 400)


@pytest.mark.parametrize(("interval", "minutes"), [("minute", 1), ("3minute", 3), ("60minute", 60)])
def test_intervals_are_minutes(interval: str, minutes: int) -> None:
    """Any interval but the day's is a number of minutes."""
    assert parse_candle_request("408065", interval, SPAN).step_minutes == minutes


def test_the_longest_span_is_still_taken() -> None:
    """2000 days pass, 2001 do not."""
    assert MAX_SPAN_DAYS["day"] == 2000
    parse_candle_request("1", "day", {"from": "2020-01-01", "to": "2025-06-23"})
    with pytest.raises(ApiError):
        parse_candle_request("1", "day", {"from": "2020-01-01", "to": "2025-06-24"})


def test_quotes_are_limited_in_number() -> None:
    """No instrument and one too many are refused."""
    assert len(parse_quote_symbols(["NSE:A"] * 500, 500)) == 500
    for symbols in ([], ["NSE:A"] * 501):
        with pytest.raises(ApiError):
            parse_quote_symbols(symbols, 500)


def test_a_missing_form_field_is_named() -> None:
    """The message names the field."""
    with pytest.raises(ApiError, match="checksum"):
        form_field({"api_key": "k"}, "checksum")
