"""What Prometheus reads."""

import subprocess
import sys
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from tests.fakes.web import FIGURES, sources
from tests.web.client import asking
from vcpd.app.monitor import RUN_SECONDS, RUNS
from vcpd.kite.transport import ENDPOINTS, REQUESTS
from vcpd.runtime.resources import LoopLag

FRESH_PROCESS: Final = """
from prometheus_client import generate_latest
from vcpd.app.monitor import RunCounters
from vcpd.kite.settings import KiteSettings
from vcpd.kite.transport import Transport

RunCounters().begin_at_zero(["a-job"])
Transport(None, KiteSettings(), None)
print(generate_latest().decode())
"""


async def _samples() -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    async with asking(sources()) as client:
        answer = await client.get("/metrics")
        assert answer.status == 200
        text = await answer.text()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_each_figure_has_its_sample() -> None:
    samples = await _samples()
    assert samples["vcpd_data_age_sessions", ()] == 0
    assert samples["vcpd_quarantined_bars", (("rule", "out_of_range"),)] == 2
    assert samples["vcpd_setups", (("state", "FORMING"),)] == 4
    assert samples["vcpd_worker_memory_bytes", (("worker", "1"),)] == 2 << 20
    assert samples["vcpd_worker_restarts_total", (("cause", "broken"),)] == 1
    assert samples["vcpd_pool_connections", (("state", "in_use"),)] == 1
    assert samples["vcpd_token_age_seconds", ()] == 100
    ended_s = samples["vcpd_last_success_timestamp_seconds", (("job", "collect"),)]
    assert ended_s == FIGURES.now.timestamp() - 30
    assert samples["vcpd_last_done_age_seconds", (("job", "collect"),)] == 30
    assert samples["process_open_fds", ()] > 0
    assert samples["vcpd_watch_running", ()] == 0
    assert samples["vcpd_feed_ticks_total", ()] == 0


async def test_what_is_counted_where_it_happens_is_shown_too() -> None:
    before = await _samples()
    REQUESTS.labels("/quote", "429").inc()
    RUNS.labels("collect", "failed").inc()
    RUN_SECONDS.labels("collect").observe(19.5)
    lag = LoopLag()
    lag.record(3.0)
    lag.record(700.0)
    after = await _samples()

    def added(name: str, **labels: str) -> float:
        key = (name, tuple(sorted(labels.items())))
        return after[key] - before.get(key, 0.0)

    assert added("vcpd_requests_total", endpoint="/quote", status="429") == 1
    assert added("vcpd_runs_total", job="collect", outcome="failed") == 1
    assert added("vcpd_run_duration_seconds_bucket", job="collect", le="10.0") == 0
    assert added("vcpd_run_duration_seconds_bucket", job="collect", le="30.0") == 1
    assert added("vcpd_run_duration_seconds_sum", job="collect") == 19.5
    assert added("vcpd_loop_lag_seconds_bucket", le="0.004") == 1
    assert added("vcpd_loop_lag_seconds_bucket", le="+Inf") == 2
    assert round(added("vcpd_loop_lag_seconds_sum"), 6) == 0.703


def test_counters_begin_at_zero() -> None:
    """An alert rule that takes the increase of a counter would miss a first sample of 1.

    Read in a process of its own: other tests of this process count as well.
    """
    printed = subprocess.run(
        [sys.executable, "-c", FRESH_PROCESS], capture_output=True, text=True, check=True
    )
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(printed.stdout)
        for sample in family.samples
    }
    for outcome in ("failed", "missed", "done"):
        assert samples["vcpd_runs_total", "a-job", outcome] == 0
    for endpoint in ENDPOINTS:
        assert samples["vcpd_requests_total", *sorted((endpoint, "429"))] == 0
    assert "vcpd_request_retries_total" in {name for name, *_ in samples}
