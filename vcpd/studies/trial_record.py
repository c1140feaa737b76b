"""Record of studies over the same bars: how many cells were tried, and when sealed months were opened.

Each study of the same bars is one more chance for luck, so the cells of earlier ones count. Sealed months are
worth something once: each opening is recorded, and each later report says so.
"""

import hashlib
from datetime import date, datetime
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from vcpd.core.atomic_file import write_atomic
from vcpd.core.errors import BadInputError
from vcpd.domain.panel import Panel
from vcpd.studies.plan import StudyPlan

FILE_NAME: Final = "studies.json"
DIGEST_CHARACTERS: Final = 16


class RecordedStudy(msgspec.Struct, frozen=True, kw_only=True):
    """A study that was run: digests of bars and plan, and the number of its cells."""

    at: datetime
    bars: str
    plan: str
    cells: int


class OpenedSeal(msgspec.Struct, frozen=True, kw_only=True):
    """Sealed months that were looked at, and the cell that was judged on them."""

    at: datetime
    bars: str
    plan: str
    sealed_from: date
    cell: int


class TrialRecord(msgspec.Struct, frozen=True):
    """All studies and openings of a folder."""

    studies: tuple[RecordedStudy, ...] = ()
    opened: tuple[OpenedSeal, ...] = ()

    def earlier_cells(self, bars: str, plan: str) -> int:
        """Counts the cells of other plans over the same bars; a plan that ran twice counts once."""
        others = {study.plan: study.cells for study in self.studies if study.bars == bars}
        return sum(cells for name, cells in others.items() if name != plan)

    def openings(self, bars: str) -> tuple[OpenedSeal, ...]:
        return tuple(opening for opening in self.opened if opening.bars == bars)

    def with_study(self, study: RecordedStudy) -> "TrialRecord":
        return TrialRecord((*self.studies, study), self.opened)

    def with_opening(self, opening: OpenedSeal) -> "TrialRecord":
        return TrialRecord(self.studies, (*self.opened, opening))


def read_record(folder: Path) -> TrialRecord:
    """Reads the folder's record, empty where there is none. BadInputError for a damaged one."""
    path = folder / FILE_NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=TrialRecord)
    except FileNotFoundError:
        return TrialRecord()
    except msgspec.MsgspecError as error:
        raise BadInputError(f"{path}: is no record of studies: {error}") from None
    except OSError as error:
        raise BadInputError(f"{path}: cannot be read: {error.strerror}") from None


def write_record(folder: Path, record: TrialRecord) -> None:
    """Replaces the folder's record. Raises UnavailableError where the disk is the reason."""
    write_atomic(folder / FILE_NAME, msgspec.json.format(msgspec.json.encode(record)) + b"\n")


def digest_of_bars(panel: Panel) -> str:
    """Returns a digest that is the same for the same bars in any file."""
    digest = hashlib.sha256("\n".join(panel.symbols).encode())
    for array in (panel.sessions.astype(np.int64), panel.values):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:DIGEST_CHARACTERS]


def digest_of_plan(plan: StudyPlan) -> str:
    """Returns the same for the same values in any file; lists of sectors do not count: they split trades."""
    facts = msgspec.structs.replace(plan.facts, sectors_are_todays=False)
    plan = msgspec.structs.replace(plan, facts=facts)
    return hashlib.sha256(msgspec.json.encode(plan)).hexdigest()[:DIGEST_CHARACTERS]
