"""The page of the showroom in a browser, for every browser test."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.web.browser import Browser, clean_console, driver
from tests.web.served import served
from tests.web.showroom import showroom
from vcpd.web.context import WebContext

__all__ = ["driver"]  # a fixture


@pytest.fixture
def given() -> WebContext:
    """What the port serves: a test may change it."""
    return showroom()


@pytest.fixture
def address(given: WebContext) -> Iterator[str]:
    with served(given) as url:
        yield url


@pytest.fixture
def browser(driver: Any, address: str) -> Iterator[Browser]:
    """Whatever a test does, the console stays empty."""
    with clean_console(driver) as ours:
        yield ours
