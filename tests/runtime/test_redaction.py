"""No secret in any text: by value, by the name of its key, by its place."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcpd.core.secrets import Secret
from vcpd.runtime.logs import Redactor, is_secret_key

VALUE = "p@ss/w0rd+x"
masker = Redactor(Secret(VALUE), Secret("abc"), Secret(""))


class Login(msgspec.Struct):
    """A value whose repr holds a secret."""

    answer: str


@pytest.mark.parametrize(
    "text",
    [
        f"refused for {VALUE}",
        "GET /?code=p%40ss%2Fw0rd%2Bx failed",
        repr(Login(VALUE)),
        repr(ValueError(VALUE)),
    ],
)
def test_a_known_value_is_masked_wherever_it_stands(text: str) -> None:
    shown = masker.redact_text(text)
    assert VALUE not in shown
    assert "w0rd" not in shown
    assert "***" in shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://vcpd:hunter22@db/vcpd", "postgresql://vcpd:***@db/vcpd"),
        ("GET /login?request_token=aXb9&action=login", "GET /login?request_token=***&action=login"),
        ("{'access_token': 'aXb9', 'user': 'AB12'}", "{'access_token': '***', 'user': 'AB12'}"),
        ('{"checksum":"00ff","user":"AB12"}', '{"checksum":"***","user":"AB12"}'),
        ("Authorization: token key:aXb9", "Authorization: ***"),
        ("api_secret = aXb9", "api_secret = ***"),
        ("instrument_token=408065 moved", "instrument_token=408065 moved"),
        ("http://localhost:8787/status answered", "http://localhost:8787/status answered"),
        ("the token expired at 06:00", "the token expired at 06:00"),
    ],
)
def test_unknown_secrets_are_known_by_their_place(text: str, shown: str) -> None:
    assert Redactor().redact_text(text) == shown


@pytest.mark.parametrize(
    ("key", "secret"),
    [
        ("access_token", True),
        ("apiSecret", True),
        ("X-Checksum", True),
        ("Authorization", True),
        ("instrument_token", False),
        ("tokens_left_note", False),
        ("symbol", False),
    ],
)
def test_a_key_states_whether_its_value_is_secret(key: str, secret: bool) -> None:
    assert is_secret_key(key) is secret


def test_nested_values_are_masked_and_plain_ones_kept() -> None:
    event = {
        "event": "login_failed",
        "count": 3,
        "ok": None,
        "headers": {"Authorization": "token a:b", "Accept": "*/*"},
        "tried": [VALUE, ("x", Login(VALUE))],
        "token": 256265,
        "error": ValueError(VALUE),
    }
    masker(None, "info", event)
    assert event == {
        "event": "login_failed",
        "count": 3,
        "ok": None,
        "headers": {"Authorization": "***", "Accept": "*/*"},
        "tried": ["***", ["x", "Login(answer='***')"]],
        "token": 256265,
        "error": "***",
    }


@given(st.text(min_size=4, max_size=20), st.text(max_size=30), st.text(max_size=30))
def test_no_value_survives_in_any_surroundings(value: str, before: str, after: str) -> None:
    """Neither as it is nor as it looks in a repr; unless the surroundings alone spell it."""
    shown = Redactor(Secret(value)).redact_text(f"{before}{value}{after}")
    assert value not in shown or value in f"{before}***{after}" or value in "***"
