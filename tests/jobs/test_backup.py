"""The backup job: what it writes, keeps, tries to restore, and when it does nothing."""

from datetime import UTC, date, datetime, timedelta

import pytest

from tests.fakes.backups import FakeBackups
from tests.fakes.clock import FakeClock
from tests.fakes.collection import context
from tests.fakes.runs import FakeRunStore
from vcpd.core.errors import UnavailableError
from vcpd.domain.backup import backup_file_name, parse_backup_time
from vcpd.domain.runs import Outcome, RunCause, RunResult
from vcpd.jobs.backup import BackUp, are_backups_enabled
from vcpd.jobs.settings import BackupSettings

EVENING = datetime(2026, 11, 27, 14, 0, tzinfo=UTC)
SESSION = date(2026, 11, 27)


class Days:
    """The job on one evening after another, with its runs recorded as the scheduler does."""

    def __init__(self, settings: BackupSettings, *, is_embedded: bool = True) -> None:
        self.clock = FakeClock(EVENING)
        self.backups = FakeBackups(self.clock, rows=5)
        self.runs = FakeRunStore(self.clock)
        self.job = BackUp(self.backups, self.runs, self.clock, settings, is_embedded)

    async def run(self) -> RunResult:
        row = await self.runs.begin("backup", self.clock.now(), SESSION, RunCause.TICK)
        assert row is not None
        result = await self.job(context(SESSION, "backup"))
        await self.runs.finish(row.id, result.outcome, result.reason, result.counts)
        self.clock.at += timedelta(days=1)
        return result


async def test_each_evening_writes_one_and_the_newest_are_kept() -> None:
    days = Days(BackupSettings(keep=3, trial_restore_interval_days=0))
    results = [await days.run() for _ in range(5)]
    assert [result.counts["deleted"] for result in results] == [0, 0, 0, 1, 1]
    assert results[0].counts["size_bytes"] == 6
    assert len(await days.backups.files()) == 3
    assert days.backups.tried == []


async def test_a_restore_is_tried_at_first_and_then_after_the_interval() -> None:
    days = Days(BackupSettings(trial_restore_interval_days=10))
    results = [await days.run() for _ in range(22)]
    tried = [index for index, result in enumerate(results) if "trial_restore_rows" in result.counts]
    assert tried == [0, 11]
    assert results[0].counts["trial_restore_rows"] == 5


async def test_a_full_disk_deletes_no_old_backup() -> None:
    days = Days(BackupSettings(keep=1))
    await days.run()
    days.backups.full = True
    with pytest.raises(UnavailableError):
        await days.job(context(SESSION, "backup"))
    assert len(await days.backups.files()) == 1


@pytest.mark.parametrize(
    ("enabled", "is_embedded", "writes"),
    [(None, True, True), (None, False, False), (True, False, True), (False, True, False)],
)
async def test_whether_backups_are_written(enabled: bool | None, is_embedded: bool, writes: bool) -> None:
    settings = BackupSettings(enabled=enabled)
    days = Days(settings, is_embedded=is_embedded)
    result = await days.run()
    assert result.outcome is Outcome.DONE
    assert are_backups_enabled(settings, is_embedded=is_embedded) is writes
    assert bool(await days.backups.files()) is writes
    assert result.reason.startswith("nothing to do") is not writes


def test_the_instant_stands_in_the_name_and_other_files_have_none() -> None:
    assert backup_file_name(EVENING) == "vcpd-20261127T140000Z.zip"
    assert parse_backup_time(backup_file_name(EVENING)) == EVENING
    for other in ("vcpd.zip", "vcpd-20261399T140000Z.zip", ".vcpd-20261127T140000Z.zip"):
        assert parse_backup_time(other) is None
