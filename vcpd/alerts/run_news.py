"""What ended runs of jobs have to tell: bars that are missing, histories that changed, a good night."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from vcpd.domain.alerts import Alert, AlertKind
from vcpd.domain.runs import Outcome, Run
from vcpd.domain.sessions import TradingCalendar

COLLECT, SCREEN, RISK, RECONCILE = "collect", "screen", "risk", "reconcile"
NIGHT: Final = (COLLECT, SCREEN, RISK)
LONGEST_REASON: Final = 600


@dataclass(frozen=True, slots=True)
class Diary:
    """Ended runs, newest first, and the kind of job each name stands for."""

    runs: Sequence[Run]
    kinds: Mapping[str, str]
    calendar: TradingCalendar

    def of(self, *kinds: str) -> Iterator[tuple[Run, date]]:
        """Those runs with the session they worked for."""
        for run in self.runs:
            session = run.session
            if session is None or not self.calendar.is_session(session):
                continue
            if self.kinds.get(run.job) in kinds:
                yield run, session

    def is_evening(self, run: Run, session: date) -> bool:
        """Whether it began after the session's close."""
        _, closes = self.calendar.open_close(session)
        return run.started_at is not None and run.started_at >= closes


def news_of(diary: Diary, since: datetime, *, lacked_login: Collection[int] = ()) -> list[Alert]:
    """Alerts about runs that ended at `since` or later; those of `lacked_login` failed for want of it."""
    alerts: list[Alert] = []
    made_up: set[date] = set()  # sessions that a newer run has completed, or is at
    for run, session in diary.of(COLLECT, RECONCILE):
        if run.finished_at is None and diary.kinds[run.job] == COLLECT:
            made_up.add(session)
        if run.finished_at is None or run.finished_at < since:
            continue
        alerts += _restated(run, session)
        if diary.kinds[run.job] == COLLECT and session not in made_up:
            if run.id not in lacked_login:
                alerts += _incomplete(run, session, run.finished_at)
            if run.outcome is Outcome.DONE and not run.counts.get("failed"):
                made_up.add(session)
    return [*alerts, *_good_nights(diary, since)]


def evening_screen(diary: Diary, since: datetime) -> tuple[Run, date] | None:
    """The newest screen of a session that had closed, where it ended at `since` or later."""
    for run, session in diary.of(SCREEN):
        is_done = run.outcome is Outcome.DONE and run.finished_at is not None and run.finished_at >= since
        if is_done and diary.is_evening(run, session):
            return run, session
    return None


def _restated(run: Run, session: date) -> Iterator[Alert]:
    restated = run.counts.get("restated", 0)
    if restated and run.finished_at is not None:
        noun = "history was" if restated == 1 else "histories were"
        yield Alert(
            kind=AlertKind.RESTATEMENT,
            key=f"restatement:{run.job}:{session}:{run.id}",
            at=run.finished_at,
            session=session,
            facts={
                "job": run.job,
                "restated": restated,
                "headline": f"{restated} {noun} restated",
                "reason": run.reason[:LONGEST_REASON] or None,
            },
        )


def _incomplete(run: Run, session: date, at: datetime) -> Iterator[Alert]:
    failed = run.counts.get("failed", 0)
    if not (failed or run.outcome is Outcome.FAILED):
        return
    missing = f"{failed} symbol{'s are' if failed > 1 else ' is'} missing"
    yield Alert(
        kind=AlertKind.COLLECTION_INCOMPLETE,
        key=f"collection_incomplete:{session}",
        at=at,
        session=session,
        facts={
            "job": run.job,
            "failed": failed,
            "headline": missing if failed else "the collection failed",
            "reason": run.reason[:LONGEST_REASON] or None,
        },
    )


def _good_nights(diary: Diary, since: datetime) -> Iterator[Alert]:
    """Each session of which collect, the evening's screen and risk are all done."""
    done: dict[date, dict[str, Run]] = {}
    for run, session in diary.of(*NIGHT):
        if run.outcome is Outcome.DONE and diary.is_evening(run, session):
            done.setdefault(session, {}).setdefault(diary.kinds[run.job], run)
    for session, runs in done.items():
        ends = [run.finished_at for run in runs.values() if run.finished_at is not None]
        if len(runs) == len(NIGHT) and max(ends) >= since:
            yield Alert(
                kind=AlertKind.GOOD_NIGHT,
                key=f"good_night:{session}",
                at=max(ends),
                session=session,
                facts={"setups": runs[SCREEN].counts.get("passed", 0)},
            )
