"""What the exchange calls its files, and where its archive keeps them."""

from datetime import date
from typing import Final

import msgspec

from vcpd.bhavcopy.dates import month_name

FULL_SINCE: Final = date(2019, 9, 30)
UDIFF_FIRST: Final = date(2024, 1, 1)  # beside the legacy layout
UDIFF_ALONE: Final = date(2024, 7, 8)  # the legacy layout has ended


class ArchivedFile(msgspec.Struct, frozen=True):
    """A file's name, and its path below the archive's root."""

    name: str
    path: str


def bulletin_files(session: date) -> tuple[ArchivedFile, ...]:
    """The files that may tell of `session`, those with ISINs first."""
    if session >= UDIFF_ALONE:
        return udiff_file(session), full_file(session)
    found = [legacy_file(session)]
    if session >= UDIFF_FIRST:
        found.append(udiff_file(session))
    if session >= FULL_SINCE:
        found.append(full_file(session))
    return tuple(found)


def legacy_file(session: date) -> ArchivedFile:
    month = month_name(session)
    name = f"cm{session:%d}{month}{session:%Y}bhav.csv.zip"
    return ArchivedFile(name, f"content/historical/EQUITIES/{session:%Y}/{month}/{name}")


def full_file(session: date) -> ArchivedFile:
    name = f"sec_bhavdata_full_{session:%d%m%Y}.csv"
    return ArchivedFile(name, f"products/content/{name}")


def udiff_file(session: date) -> ArchivedFile:
    name = f"BhavCopy_NSE_CM_0_0_0_{session:%Y%m%d}_F_0000.csv.zip"
    return ArchivedFile(name, f"content/cm/{name}")


def index_file(session: date) -> ArchivedFile:
    name = f"ind_close_all_{session:%d%m%Y}.csv"
    return ArchivedFile(name, f"content/indices/{name}")
