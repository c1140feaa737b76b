"""Old spellings of version 0.1.0, in this one place: read or served for one release, then deleted.

Configuration keys and environment variables are read under the old spelling with a warning; metrics are
served under both names; log events were renamed at once and are listed for the CHANGELOG.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

ENVIRONMENT_PREFIX: Final = "VCPD_"
SECTION_SEPARATOR: Final = "__"
ANY: Final = "*"  # in a path: whatever table stands there

CONFIG_KEYS: Final[Mapping[str, str]] = {
    "daemon.stop_deadline_s": "shutdown_timeout_s",
    "sandbox.planted_share": "leader_share",
    "sandbox.young_share": "recent_listing_share",
    "sandbox.ticker.every_s": "interval_s",
    "sandbox.faults.vanished": "hidden_symbols",
    "sandbox.faults.restated": "split_ratios",
    "kite.tries": "max_attempts",
    "limits.lateness_pct": "late_arrival_pct",
    "ticker.mute_after_s": "stale_after_s",
    "bhavcopy.tries": "max_attempts",
    "bhavcopy.ask_again_min": "retry_missing_min",
    "bhavcopy.missing_after_days": "gap_after_days",
    "bhavcopy.actions_age_h": "actions_max_age_h",
    "bhavcopy.listed_sessions": "listing_window_sessions",
    "collect.give_up_after": "max_consecutive_failures",
    "collect.whole_every_sessions": "full_compare_interval_sessions",
    "screen.rs_rating_least": "min_rs_rating",
    "screen.rs_universe_least": "min_rs_universe",
    "screen.base_sessions_least": "min_base_sessions",
    "screen.base_sessions_most": "max_base_sessions",
    "screen.swing_least_pct": "min_swing_pct",
    "screen.swing_most_pct": "max_swing_pct",
    "screen.depth_ratio_most": "max_depth_ratio",
    "screen.depth_least_pct": "min_depth_pct",
    "screen.contractions_least": "min_contractions",
    "screen.contractions_most": "max_contractions",
    "screen.base_depth_least_pct": "min_base_depth_pct",
    "screen.base_depth_most_pct": "max_base_depth_pct",
    "screen.final_depth_most_pct": "max_final_depth_pct",
    "screen.final_to_first_most": "max_final_to_first",
    "screen.prior_advance_least_pct": "min_prior_advance_pct",
    "screen.stop_most_pct": "max_stop_pct",
    "screen.risk_most_pct": "max_risk_pct",
    "screen.near_template": "allow_one_trend_miss",
    "watch.within_pct": "max_distance_to_pivot_pct",
    "watch.candidates_most": "max_candidates",
    "watch.volume_from_min": "volume_projection_after_min",
    "watch.restated_pct": "max_previous_close_change_pct",
    "watch.fall_back_after_s": "quote_fallback_after_s",
    "watch.quotes_every_s": "quote_interval_s",
    "watch.silent_after_s": "feed_timeout_s",
    "watch.look_again_s": "candidate_refresh_s",
    "watch.learn_days": "volume_curve_days",
    "watch.learn_again_days": "volume_curve_max_age_days",
    "workers.memory_mark_mb": "recycle_above_mb",
    "workers.rest_after_s": "idle_release_s",
    "workers.max_casualties": "max_failed_symbols",
    "schedule.memory_mark_pct": "max_memory_pct",
    "schedule.cpu_mark_load": "max_load_per_core",
    "schedule.retry_pause_min": "retry_initial_min",
    "schedule.retry_longest_min": "retry_max_min",
    "alerts.health_mark": "health_threshold",
    "alerts.patience_min": "condition_min_duration_min",
    "alerts.pictures": "digest_charts",
    "alerts.*.picture": "attach_chart",
    "jobs.*.behind": "not_during",
    "jobs.*.runs": "job",
}
# Settings that changed nothing: dropped with a warning.
REMOVED_KEYS: Final = frozenset({"kite.redirect_url"})


LOG_EVENTS: Final[Mapping[str, str]] = {
    "alerts.channel_crashed": "alerts.channel_failed",
    "alerts.drawing_crashed": "alerts.chart_failed",
    "alerts.evening": "alerts.screen_published",
    "alerts.mail_refused": "alerts.mail_rejected",
    "alerts.no_picture": "alerts.chart_failed",
    "alerts.picture_lost": "alerts.image_not_sent",
    "alerts.picture_refused": "alerts.image_rejected",
    "alerts.store_away": "alerts.store_unavailable",
    "alerts.told": "alerts.published",
    "background_task_deaf": "background_task_ignores_cancel",
    "bulletin.not_had": "bhavcopy.unavailable",
    "bulletin.refused": "bhavcopy.rejected",
    "bulletin.retry": "bhavcopy.retry",
    "bulletins.fetched": "bhavcopy.fetched",
    "bulletins.missing": "bhavcopy.missing",
    "clock.set_back": "clock.stepped",
    "daemon.left_behind": "daemon.forced_exit",
    "daemon.part_died": "daemon.task_failed",
    "retry.given_up": "retry.abandoned",
    "run.not_begun": "run.not_started",
    "runs.store_away": "runs.store_unavailable",
    "sandbox.said": "sandbox.output",
    "scheduler.lead_lost": "scheduler.leadership_lost",
    "scheduler.pauses_unknown": "scheduler.paused_jobs_unavailable",
    "scheduler.store_away": "scheduler.store_unavailable",
    "ticker.line": "ticker.connection",
    "watch.curve_not_learned": "watch.curve_failed",
    "watch.curves_not_learned": "watch.curves_failed",
    "watch.feed_silent": "watch.feed_timed_out",
    "watch.no_candidates": "watch.candidates_failed",
    "watch.no_quotes": "watch.quotes_failed",
    "watch.not_kept": "watch.store_failed",
    "watch.skip_not_recorded": "watch.skip_record_failed",
    "web.failed": "web.request_failed",
    "worker_casualty": "symbol_failed",
    "workers.not_started": "workers.start_failed",
    "workers.warm": "workers.ready",
    "workers_renewed": "workers_recycled",
}
# Words of the former private vocabulary: no name, docstring or text may use them (tests/test_words.py).
WORDS: Final[Mapping[str, str]] = {
    "befall": "inject",
    "bulletin": "bhavcopy file",
    "bustle": "volume profile",
    "casualty": "failed symbol",
    "casualties": "failed symbols",
    "comeback": "retry",
    "crew": "executor",
    "desk": "writer",
    "diary": "run log",
    "door": "client, connection or server",
    "errand": "task",
    "farewell": "forced exit",
    "gathering": "concurrent fetching",
    "hear": "receive",
    "keeping": "collection",
    "knock": "probe",
    "ledger": "counters",
    "mishap": "fault",
    "nap": "interruptible wait",
    "news": "alerts",
    "obey": "apply",
    "obituary": "exit reason",
    "outfit": "worker configuration",
    "patient": "context",
    "postman": "channel worker",
    "pretend": "simulate",
    "rehearse": "warm up",
    "room": "package, workspace or capacity",
    "scout": "candidate loader",
    "shelf": "cache",
    "sighting": "live event",
    "spool": "block writer",
    "standpoint": "market view",
    "swallow": "coalesce",
    "sweep": "quote snapshot",
    "tell": "report",
    "tells": "reports",
    "told": "reported",
    "town": "market",
    "trouble": "problem or error",
    "upkeep": "maintenance",
    "vigil": "watch session",
    "weather": "noise",
    "wish": "target",
    "yard": "run queue",
    "yardstick": "tracker configuration",
}


def renamed_key(path: str) -> str | None:
    """The present name of the last key of a dotted path; None where the path is spelled as it should be."""
    if path in CONFIG_KEYS:
        return CONFIG_KEYS[path]
    section, _, rest = path.partition(".")
    return CONFIG_KEYS.get(f"{section}.{ANY}.{rest.partition('.')[2]}")


def rename_table(raw: dict[str, Any], problems: list[str], path: str = "") -> Iterator[str]:
    """Rename the old keys of a table and of all tables below, in place; yield `old -> new` for each.

    A setting that is given under both spellings keeps the new one and is appended to `problems`.
    """
    for key, value in list(raw.items()):
        dotted = f"{path}.{key}" if path else key
        new = renamed_key(dotted)
        if dotted in REMOVED_KEYS:
            del raw[key]
            yield f"{dotted} (without effect)"
        elif new is not None:
            del raw[key]
            if new in raw:
                problems.append(f"{dotted}: the old name of {new}, which is given as well")
            raw.setdefault(new, value)
            yield f"{dotted} -> {new}"
        elif isinstance(value, dict):
            yield from rename_table(value, problems, dotted)


def rename_variables(environment: Mapping[str, str], problems: list[str]) -> tuple[dict[str, str], list[str]]:
    """The environment with settings under their present names, and `old -> new` for each renamed variable.

    A setting that is given under both spellings keeps the new one and is appended to `problems`.
    """
    renamed = dict(environment)
    changes = []
    for name, value in environment.items():
        path = name.removeprefix(ENVIRONMENT_PREFIX).lower().split(SECTION_SEPARATOR)
        if name.startswith(ENVIRONMENT_PREFIX) and ".".join(path) in REMOVED_KEYS:
            del renamed[name]
            changes.append(f"{name} (without effect)")
            continue
        new = renamed_key(".".join(path)) if name.startswith(ENVIRONMENT_PREFIX) else None
        if new is not None:
            present = ENVIRONMENT_PREFIX + SECTION_SEPARATOR.join([*path[:-1], new]).upper()
            if present in environment:
                problems.append(f"{name}: the old name of {present}, which is given as well")
            del renamed[name]
            renamed.setdefault(present, value)
            changes.append(f"{name} -> {present}")
    return renamed, changes
