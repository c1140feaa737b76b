"""Back up the store, keep the newest backups, and show regularly that one can be restored."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from vcpd.domain.backup import BackupFile
from vcpd.domain.runs import Outcome, RunContext, RunResult
from vcpd.jobs.settings import BackupSettings
from vcpd.ports import BackupStore, Clock, RunStore

TRIAL_RESTORE_ROWS: Final = "trial_restore_rows"
RUNS_READ: Final = 400
OWN_SERVER_REASON: Final = (
    "nothing to do: the database is your own server, whose backups are yours; "
    "set [backup] enabled = true to write them here"
)
SWITCHED_OFF_REASON: Final = "nothing to do: [backup] enabled is false"


def are_backups_enabled(settings: BackupSettings, *, is_embedded: bool) -> bool:
    """Whether backups are written: by default only of the embedded store."""
    return is_embedded if settings.enabled is None else settings.enabled


@dataclass(frozen=True, slots=True)
class BackUp:
    """Writes a backup. Raises what the store and the disk raise; then no old backup is deleted."""

    backups: BackupStore
    runs: RunStore
    clock: Clock
    settings: BackupSettings
    is_embedded: bool

    async def __call__(self, context: RunContext) -> RunResult:
        if not are_backups_enabled(self.settings, is_embedded=self.is_embedded):
            reason = SWITCHED_OFF_REASON if self.settings.enabled is False else OWN_SERVER_REASON
            return RunResult(reason=reason)
        written = await self.backups.write(context.progress)
        counts = {
            "size_bytes": written.size_bytes,
            "deleted": await self.backups.prune(self.settings.keep),
        }
        return RunResult(counts=counts | await self._trial_restore(context, written))

    async def _trial_restore(self, context: RunContext, written: BackupFile) -> dict[str, int]:
        """Restore what was just written into a scratch schema, where the last time is long ago."""
        days = self.settings.trial_restore_interval_days
        if not days or await self._is_tried_since(context, timedelta(days=days)):
            return {}
        return {TRIAL_RESTORE_ROWS: await self.backups.try_restore(written, context.progress)}

    async def _is_tried_since(self, context: RunContext, interval: timedelta) -> bool:
        since = self.clock.now() - interval
        return any(
            run.outcome is Outcome.DONE and TRIAL_RESTORE_ROWS in run.counts and run.scheduled_at >= since
            for run in await self.runs.recent(RUNS_READ, context.job)
        )
