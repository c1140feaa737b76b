"""The dashboard and the alert rules ask for metrics that exist."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client import REGISTRY, CollectorRegistry

from tests.fakes.web import FIGURES
from vcpd.app import container  # noqa: F401 - imports all that counts
from vcpd.web.metrics import MetricsCollector

FOLDER = Path(__file__).parents[2] / "docs" / "monitoring"
SUFFIXES = ("_bucket", "_sum", "_count", "_total", "")


def _known() -> set[str]:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(MetricsCollector(lambda: FIGURES))
    counted = {family.name for family in REGISTRY.collect() if family.name.startswith("vcpd")}
    return counted | {family.name for family in registry.collect()}


def _asked(text: str) -> set[str]:
    return set(re.findall(r"\bvcpd_[a-z_]+", text))


def _is_known(name: str, known: set[str]) -> bool:
    return any(name.removesuffix(suffix) in known for suffix in SUFFIXES)


@pytest.mark.parametrize("name", ["alerts.yml", "grafana.json"])
def test_every_metric_that_is_asked_for_exists(name: str) -> None:
    known = _known()
    asked = _asked((FOLDER / name).read_text())
    assert len(asked) > 8
    assert [name for name in sorted(asked) if not _is_known(name, known)] == []


def test_the_dashboard_shows_every_family() -> None:
    """What is exported is also looked at, by the dashboard or by a rule."""
    text = (FOLDER / "grafana.json").read_text() + (FOLDER / "alerts.yml").read_text()
    json.loads((FOLDER / "grafana.json").read_text())
    unseen = {name for name in _known() if name not in text}
    assert unseen <= {
        "vcpd",
        "vcpd_uptime_seconds",
        "vcpd_daemon_threads",
        "vcpd_run_running",
        "vcpd_next_run_seconds",
        "vcpd_request_retries",
        "vcpd_limiter_passed",
        "vcpd_limiter_slowed",
        "vcpd_limiter_waiting",
        "vcpd_token_age_seconds",
        "vcpd_last_done_age_seconds",  # the former name
        "vcpd_worker_tasks",
        "vcpd_worker_running",
        "vcpd_web_connections",
        "vcpd_web_connections_closed",
        "vcpd_web_held_bytes",
    }


@pytest.mark.parametrize("words", [("check", "rules", "alerts.yml"), ("test", "rules", "alerts_test.yml")])
def test_promtool_accepts_the_rules(words: tuple[str, ...]) -> None:
    """Their syntax, and the cases in which each of them fires or stays silent."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    checked = subprocess.run([promtool, *words], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_rule_has_cases() -> None:
    """A rule without a case may never fire."""
    rules = re.findall(r"- alert: (\w+)", (FOLDER / "alerts.yml").read_text())
    cases = (FOLDER / "alerts_test.yml").read_text()
    assert len(rules) == len(set(rules)) >= 13
    assert [rule for rule in rules if not re.search(rf"\b{rule}\b", cases)] == []
