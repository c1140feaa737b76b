"""What docs/alerts.md shows works as it says."""

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from vcpd.alerts.channels.webhook import signature_headers
from vcpd.alerts.settings import AlertSettings
from vcpd.alerts.templates import SETUP_VARIABLES, VARIABLES_BY_KIND
from vcpd.app.alert_channels import alert_secret_names
from vcpd.core.secrets import Secret
from vcpd.domain.alerts import AlertKind
from vcpd.runtime.clock import WallClock

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "alerts.md").read_text(encoding="utf-8")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_shown_check_takes_our_signature_and_no_other() -> None:
    (code,) = _blocks("python")
    names: dict[str, Any] = {}
    exec(code, names)
    check, now = names["is_from_vcpd"], int(WallClock().now().timestamp())
    headers = signature_headers(Secret("mine"), b"{}", now)
    assert check("mine", headers, b"{}")
    assert not check("other", headers, b"{}")
    assert not check("mine", headers, b"{ }")
    assert not check("mine", signature_headers(Secret("mine"), b"{}", now - 3_600), b"{}")


def test_every_shown_setting_is_one() -> None:
    for block in _blocks("toml"):
        msgspec.convert(tomllib.loads(block)["alerts"], AlertSettings)


def test_every_kind_fact_and_secret_is_named() -> None:
    named = set(re.findall(r"`([a-z_]+)`", PAGE))
    assert {kind.value for kind in AlertKind} <= named
    assert set(alert_secret_names()) <= named
    assert {fact for facts in VARIABLES_BY_KIND.values() for fact in facts} | set(SETUP_VARIABLES) <= named
