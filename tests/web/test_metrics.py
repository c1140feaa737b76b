"""What Prometheus reads."""

from prometheus_client.parser import text_string_to_metric_families

from tests.web.client import asking
from tests.web.fakes import sources


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
    assert samples["vcpd_runs_total", (("job", "collect"), ("outcome", "failed"))] == 1
    assert samples["vcpd_requests_total", (("endpoint", "/quote"), ("status", "429"))] == 1
    assert samples["vcpd_limiter_wait_seconds_total", (("limit", "quote"),)] == 4.5
    assert samples["vcpd_data_age_sessions", ()] == 0
    assert samples["vcpd_quarantined_bars", (("rule", "out_of_range"),)] == 2
    assert samples["vcpd_setups", (("state", "FORMING"),)] == 4
    assert samples["vcpd_worker_memory_bytes", (("pid", "77"),)] == 2 << 20
    assert samples["vcpd_worker_restarts_total", (("cause", "broken"),)] == 1
    assert samples["vcpd_pool_connections", (("state", "in_use"),)] == 1
    assert samples["vcpd_token_age_seconds", ()] == 100
    assert samples["vcpd_watch_running", ()] == 0
    assert samples["vcpd_feed_ticks_total", ()] == 0


async def test_histograms_are_cumulative_and_complete() -> None:
    samples = await _samples()
    lag = [samples["vcpd_loop_lag_seconds_bucket", (("le", edge),)] for edge in ("0.001", "0.01", "+Inf")]
    assert lag == [5, 8, 9]
    assert samples["vcpd_loop_lag_seconds_count", ()] == 9
    assert samples["vcpd_loop_lag_seconds_sum", ()] == 0.2
    assert samples["vcpd_run_duration_seconds_bucket", (("job", "collect"), ("le", "5.0"))] == 3
