"""BackupStore: backups by their instant, retention, and a trial restore that changes nothing."""

from datetime import timedelta

import pytest

from tests.conformance.conftest import NOON
from tests.fakes.clock import FakeClock
from vcpd.domain.runs import Progress
from vcpd.ports import BackupStore


async def _write(backups: BackupStore, clock: FakeClock, number: int) -> None:
    for index in range(number):
        clock.at = NOON + timedelta(days=index)
        await backups.write(Progress())


async def test_there_is_none_at_first(backups: BackupStore) -> None:
    assert await backups.files() == []
    assert await backups.prune(3) == 0


async def test_a_backup_is_listed_with_its_instant_and_size(backups: BackupStore) -> None:
    progress = Progress()
    written = await backups.write(progress)
    assert await backups.files() == [written]
    assert written.created_at == NOON
    assert written.size_bytes > 0
    assert progress.done >= 0


async def test_retention_keeps_the_newest(backups: BackupStore, clock: FakeClock) -> None:
    await _write(backups, clock, 4)
    assert await backups.prune(2) == 2
    assert [file.created_at for file in await backups.files()] == [
        NOON + timedelta(days=2),
        NOON + timedelta(days=3),
    ]
    assert await backups.prune(2) == 0


@pytest.mark.usefixtures("instrument_ids")
async def test_a_trial_restore_counts_the_rows_of_the_backup(backups: BackupStore) -> None:
    written = await backups.write(Progress())
    assert await backups.try_restore(written, Progress()) == 4
    assert await backups.files() == [written]
