"""Default schedule of every job, used where the configuration has no other."""

from vcpd.schedule.policy import HOUR_S, JobPolicy


def default_policies() -> dict[str, JobPolicy]:
    """The day as it comes, by job name; times of the exchange's zone."""
    return {**_collection_policies(), **_watch_policies(), **_analysis_policies(), **_maintenance_policies()}


def _collection_policies() -> dict[str, JobPolicy]:
    return {
        "reconcile": JobPolicy(cron="20 8 * * *", heavy=True, priority=10, timeout_s=4 * HOUR_S),
        "instruments": JobPolicy(cron="35 8 * * *", priority=10, timeout_s=HOUR_S / 4),
        "calendar": JobPolicy(
            at="09:40, 10:45, 13:30, 16:30, 18:40",
            on="days",
            priority=5,
            catch_up="none",
            start_deadline_s=HOUR_S,
            timeout_s=HOUR_S / 4,
        ),
        "collect": JobPolicy(
            at="session_close + 5min, session_close + 35min",
            not_during=("instruments", "reconcile"),
            heavy=True,
            priority=20,
            overlap="queue",
            start_deadline_s=8 * HOUR_S,
            timeout_s=4 * HOUR_S,
        ),
    }


def _watch_policies() -> dict[str, JobPolicy]:
    """Returns the policy of the live watch, from before the open to the close; it may begin late."""
    return {
        "watch": JobPolicy(
            at="session_open - 10min",
            priority=5,
            catch_up="none",
            start_deadline_s=6.5 * HOUR_S,
            timeout_s=10 * HOUR_S,
        ),
    }


def _analysis_policies() -> dict[str, JobPolicy]:
    """The regime takes a moment and comes first, so that the evening's digest names it.

    It is heavy so that the others wait for that moment and keep their order.
    """
    return {
        "regime": JobPolicy(
            at="session_close + 150min",
            after=("collect",),
            heavy=True,
            priority=25,
            start_deadline_s=12 * HOUR_S,
            timeout_s=HOUR_S / 4,
        ),
        "screen": JobPolicy(
            at="session_close + 150min",
            after=("collect",),
            heavy=True,
            priority=30,
            start_deadline_s=12 * HOUR_S,
            timeout_s=HOUR_S,
        ),
        "screen_intraday": JobPolicy(
            cron="0 10,12,14 * * *",
            job="screen",
            not_during=("collect",),
            heavy=True,
            priority=30,
            catch_up="none",
            start_deadline_s=HOUR_S,
            timeout_s=HOUR_S,
        ),
        "risk": JobPolicy(
            at="session_close + 180min",
            after=("collect",),
            heavy=True,
            priority=40,
            start_deadline_s=12 * HOUR_S,
            timeout_s=HOUR_S,
        ),
        "scan": JobPolicy(
            at="session_close + 190min",
            not_during=("collect", "screen", "risk"),
            priority=45,
            start_deadline_s=12 * HOUR_S,
            timeout_s=HOUR_S / 4,
        ),
        **_position_policies(),
        **_level_policies(),
    }


def _position_policies() -> dict[str, JobPolicy]:
    """Final by the evening's bars, provisional by what the screens of a running session saw."""
    return {
        "positions": JobPolicy(
            at="session_close + 195min",
            not_during=("collect", "screen", "risk"),
            priority=44,
            start_deadline_s=12 * HOUR_S,
            timeout_s=HOUR_S / 4,
        ),
        "positions_intraday": JobPolicy(
            cron="10 10,12,14 * * *",
            job="positions",
            not_during=("collect", "screen_intraday"),
            priority=44,
            catch_up="none",
            start_deadline_s=HOUR_S,
            timeout_s=HOUR_S / 4,
        ),
    }


def _level_policies() -> dict[str, JobPolicy]:
    """Returns the policy of price levels by closes; while a session runs the live watch evaluates them."""
    return {
        "levels": JobPolicy(
            at="session_close + 200min",
            not_during=("collect",),
            priority=46,
            start_deadline_s=12 * HOUR_S,
            timeout_s=HOUR_S / 4,
        ),
    }


def _maintenance_policies() -> dict[str, JobPolicy]:
    return {
        "housekeeping": JobPolicy(
            cron="0 19 * * *",
            on="days",
            not_during=("collect", "screen", "risk"),
            heavy=True,
            priority=90,
            timeout_s=HOUR_S,
        ),
        "backup": JobPolicy(
            cron="30 19 * * *",
            on="days",
            not_during=("collect", "screen", "risk", "housekeeping"),
            heavy=True,
            priority=95,
            start_deadline_s=20 * HOUR_S,
            timeout_s=6 * HOUR_S,
        ),
    }
