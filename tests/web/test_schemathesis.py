"""Requests that nobody would think of, made from the description: the port answers as described."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.fakes.web import AUTHORIZED, FIGURES, setup, sources
from tests.web.served import served
from vcpd.domain.setups import BaseState
from vcpd.web.openapi import openapi_document
from vcpd.web.server import route_definitions

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")
from hypothesis import HealthCheck, settings  # noqa: E402 - only beside schemathesis
from schemathesis.specs.openapi.checks import positive_data_acceptance  # noqa: E402 - likewise

ELSEWHERE = {
    "/api/events",
    "/kite/callback",
    "/api/session",
}  # an endless stream, and logins: tried by hand
# No schema says which texts are expressions, or that exactly one of three fields is given: most are refused.
A_LANGUAGE = {"/api/scan", "/api/scans", "/api/watchlists/levels"}

document = openapi_document(route_definitions(sources()))
paths = {path: item for path, item in document["paths"].items() if path not in ELSEWHERE}
schema = schemathesis.openapi.from_dict({**document, "paths": paths})


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with served(sources([setup("NSE:AAA"), setup("NSE:BBB", state=BaseState.NEAR_PIVOT)])) as url:
        yield url


@schema.parametrize()  # type: ignore[untyped-decorator]  # it carries no types
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
def test_the_port_keeps_to_its_description(case: Any, address: str) -> None:
    """No server error, no status, type or body that is not described, nothing wrong let in."""
    is_ahead = str((case.query or {}).get("as_of", "")) > str(FIGURES.now.date())  # no schema knows today
    unchecked = [positive_data_acceptance] if case.path in A_LANGUAGE or is_ahead else []
    case.call_and_validate(
        base_url=address, headers=AUTHORIZED, allow_redirects=False, excluded_checks=unchecked
    )
