"""What is done about each refusal."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcpd.core.errors import NeedsLoginError, PermanentError, RetryableError, VcpdError
from vcpd.kite.wire import error_for_response


def _body(error_type: str, message: str = "said so") -> bytes:
    return json.dumps({"status": "error", "message": message, "error_type": error_type}).encode()


@pytest.mark.parametrize(
    ("status", "error_type", "kind"),
    [
        (403, "TokenException", NeedsLoginError),
        (403, "PermissionException", PermanentError),
        (403, "UserException", PermanentError),
        (400, "InputException", PermanentError),
        (404, "GeneralException", PermanentError),
        (405, "GeneralException", PermanentError),
        (429, "NetworkException", RetryableError),
        (429, "TokenException", RetryableError),
        (500, "GeneralException", RetryableError),
        (500, "TokenException", RetryableError),
        (502, "DataException", RetryableError),
        (503, "NetworkException", RetryableError),
        (504, "NetworkException", RetryableError),
    ],
)
def test_the_status_decides_before_the_type(status: int, error_type: str, kind: type[VcpdError]) -> None:
    """And the message never does."""
    error = error_for_response(status, _body(error_type, "TokenException PermissionException"), "/quote", {})
    assert type(error) is kind
    assert str(error).startswith(f"/quote: the market answered {status}")


@given(st.integers(300, 599), st.binary(max_size=80))
@settings(max_examples=100, deadline=None)
def test_an_answer_of_somebody_else_is_a_temporary_error(status: int, body: bytes) -> None:
    """A proxy's page of any status says nothing about our login or our request."""
    assert type(error_for_response(status, body, "/quote", {})) is RetryableError


def test_a_long_message_is_cut() -> None:
    """A text for the owner, not a dump."""
    assert len(str(error_for_response(400, _body("InputException", "x" * 10_000), "/quote", {}))) < 500
