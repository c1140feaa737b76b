"""The exchange's daily report, `PRddmmyy.zip`: corporate actions ahead, band hits, results, funds, values.

Each day's file of corporate actions (`bc`) lists everything from that day on that is known by then, about
ten days ahead: the files of a week overlap and revise each other. Two eras name their members differently:
`Bcddmmyy.csv` with dates dd/mm/yyyy, since October 2025 `bcddmmyyyy.csv` with dates yyyy-mm-dd.
"""

import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from math import isnan, nan
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from vcpd.bhavcopy.corporate_actions import ActionRow
from vcpd.core.csv_table import CsvTable, decode_csv, parse_csv_table
from vcpd.core.dates import parse_date
from vcpd.core.errors import BadInputError
from vcpd.domain.instruments import EQUITY_SERIES

MEMBERS: Final = {"bc": "csv", "bh": "csv", "bm": "txt", "etf": "csv", "mcap": "csv"}
_MEMBER: Final = re.compile(r"(?P<kind>bc|bh|bm|etf|mcap)(?P<day>\d{6}|\d{8})\.(?:csv|txt)", re.IGNORECASE)
_MEETING: Final = re.compile(
    r"(?P<symbol>[A-Z0-9&-]+)\s*:\s*(?P<day>\d{1,2}-[A-Z]{3}-\d{4})\s*:\s*(?P<purpose>[^\r\n]*)",
    re.IGNORECASE,
)
_RESULTS: Final = re.compile(r"financial results|\bresults\b", re.IGNORECASE)
_OUTCOME: Final = re.compile(r"outcome of board meeting", re.IGNORECASE)
MAX_MEMBER_BYTES: Final = 16 * 1024 * 1024
NO_VALUES: Final[tuple[dict[str, float], dict[str, float]]] = ({}, {})
T = TypeVar("T")


class BandTouch(msgspec.Struct, frozen=True):
    """A share reached its upper or lower price band during the session."""

    symbol: str
    is_upper: bool


class DailyReport(msgspec.Struct, frozen=True, kw_only=True):
    """The contents of the report of `session`; `problems` names its missing or damaged members."""

    session: date
    actions: tuple[ActionRow, ...] = ()
    band_hits: tuple[BandTouch, ...] = ()
    results_on: Mapping[str, date] = {}  # the next meeting about results, by symbol
    funds: tuple[str, ...] = ()
    market_caps: Mapping[str, float] = {}  # rupees, by symbol
    face_values: Mapping[str, float] = {}
    problems: tuple[str, ...] = ()


class ActionDay(msgspec.Struct, frozen=True):
    """The corporate actions that the report of `session` lists, and face values of shares with rights."""

    session: date
    rows: tuple[ActionRow, ...]
    face_values: Mapping[str, float] = {}


def pack_members(body: bytes, name: str, session: date) -> bytes:
    """A zip with only the members that are read: a fifth of the published file.

    BadInputError for a damaged file, and for one without the corporate actions of `session`.
    """
    members = _zip_members(body, name, session)
    if "bc" not in members:
        raise BadInputError(f"{name}: no corporate actions (bc{session:%d%m%Y}.csv) inside")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for kind, member in members.items():
            archive.writestr(f"{kind}{session:%d%m%Y}.{MEMBERS[kind]}", member)
    return packed.getvalue()


def read_report(paths: Sequence[Path], session: date) -> DailyReport:
    """The report in one zip, or in loose members. Raises BadInputError without readable actions."""
    members = _members(paths, session)
    problems = [f"{kind} of {session} is missing" for kind in MEMBERS if kind not in members]
    read = MemberReader(members, session, problems)
    actions = _action_rows(_table(members["bc"], f"bc of {session}"))
    caps, faces = read.value("mcap", _market_values, NO_VALUES)
    return DailyReport(
        session=session,
        actions=tuple(actions),
        band_hits=read.value("bh", _band_hits, ()),
        results_on=_result_dates(members.get("bm", b"").decode("latin-1"), session),
        funds=read.value("etf", _fund_symbols, ()),
        market_caps=caps,
        face_values=faces,
        problems=tuple(problems),
    )


def read_action_day(paths: Sequence[Path], session: date) -> ActionDay:
    """The corporate actions alone; raises as `read_report` does."""
    members = _members(paths, session)
    rows = tuple(_action_rows(_table(members["bc"], f"bc of {session}")))
    rights = {symbol for symbol, _, purpose in rows if "RIGHTS" in purpose.upper()}
    if not rights:
        return ActionDay(session, rows)
    _, faces = MemberReader(members, session, []).value("mcap", _market_values, NO_VALUES)
    return ActionDay(session, rows, {symbol: faces[symbol] for symbol in rights if symbol in faces})


def read_funds(paths: Sequence[Path], session: date) -> frozenset[str]:
    """The symbols of funds; empty where that member is missing or damaged. Raises as `read_report` does."""
    reader = MemberReader(_members(paths, session), session, [])
    nothing: tuple[str, ...] = ()
    return frozenset(reader.value("etf", _fund_symbols, nothing))


def read_action_days(paths: Sequence[Sequence[str]], sessions: Sequence[date]) -> list[ActionDay | str]:
    """The corporate actions of each session, or why they cannot be read; for a worker."""
    found: list[ActionDay | str] = []
    for names, session in zip(paths, sessions, strict=True):
        try:
            found.append(read_action_day([Path(name) for name in names], session))
        except (BadInputError, OSError) as error:
            found.append(str(error))
    return found


def member_names(session: date) -> tuple[str, ...]:
    """The names of loose members in both eras, in lower case."""
    days = (f"{session:%d%m%Y}", f"{session:%d%m%y}")
    return tuple(f"{kind}{day}.{suffix}" for kind, suffix in MEMBERS.items() for day in days)


def _members(paths: Sequence[Path], session: date) -> dict[str, bytes]:
    """The members' bytes by kind, those of corporate actions among them."""
    members: dict[str, bytes] = {}
    for path in paths:
        body = path.read_bytes()
        match = _MEMBER.fullmatch(path.name)
        members |= {match["kind"].lower(): body} if match else _zip_members(body, path.name, session)
    if "bc" not in members:
        names = ", ".join(path.name for path in paths)
        raise BadInputError(f"{names}: no corporate actions of {session}")
    return members


def _zip_members(body: bytes, name: str, session: date) -> dict[str, bytes]:
    """The members of `session` by kind. BadInputError for a damaged zip and for another day's members."""
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            return dict(_dated_members(archive, name, session))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise BadInputError(f"{name}: a damaged archive: {error}") from None


def _dated_members(archive: zipfile.ZipFile, name: str, session: date) -> Iterator[tuple[str, bytes]]:
    days = {f"{session:%d%m%Y}", f"{session:%d%m%y}"}
    for member in archive.infolist():
        match = _MEMBER.fullmatch(member.filename.rpartition("/")[2])
        if match is None or member.file_size > MAX_MEMBER_BYTES:
            continue
        if match["day"] not in days:
            raise BadInputError(f"{name}: expected members of {session}, was {member.filename}")
        yield match["kind"].lower(), archive.read(member)


@dataclass(frozen=True, slots=True)
class MemberReader:
    """Reads members of one session; a damaged one is named in `problems`."""

    members: Mapping[str, bytes]
    session: date
    problems: list[str]

    def value(self, kind: str, read: Callable[[CsvTable], T], absent: T) -> T:
        """The contents of a member, `absent` where it is missing or damaged."""
        if kind not in self.members:
            return absent
        try:
            return read(_table(self.members[kind], f"{kind} of {self.session}"))
        except BadInputError as error:
            self.problems.append(str(error))
            return absent


def _table(body: bytes, name: str) -> CsvTable:
    return parse_csv_table(decode_csv(body, name), name, pads_rows=True)


def _column(table: CsvTable, *names: str) -> list[str]:
    """The first column that is there. BadInputError naming the wanted ones."""
    for name in names:
        if table.has(name):
            return table.texts(name)
    raise BadInputError(f"{table.name}, row 1: expected a column {' or '.join(names)}")


def _action_rows(table: CsvTable) -> Iterator[ActionRow]:
    """The rows of shares; bonds and other securities are left out."""
    columns = [_column(table, name) for name in ("SERIES", "SYMBOL", "EX_DT", "PURPOSE")]
    for series, symbol, ex_date, purpose in zip(*columns, strict=True):
        if series in EQUITY_SERIES and symbol:
            yield symbol.upper(), ex_date, purpose


def _band_hits(table: CsvTable) -> tuple[BandTouch, ...]:
    columns = [_column(table, "SYMBOL"), _column(table, "SERIES"), _column(table, "HIGH/LOW", "HIGH_LOW")]
    rows = zip(*columns, strict=True)
    return tuple(
        BandTouch(symbol, mark.upper() == "H") for symbol, series, mark in rows if series in EQUITY_SERIES
    )


def _fund_symbols(table: CsvTable) -> tuple[str, ...]:
    return tuple(dict.fromkeys(symbol for symbol in _column(table, "SYMBOL") if symbol))


def _market_values(table: CsvTable) -> tuple[dict[str, float], dict[str, float]]:
    """Market capitalisation and face value in rupees by symbol, where they are given."""
    symbols, series = _column(table, "SYMBOL"), _column(table, "SERIES")
    caps = _numbers(table, "MARKET CAP(RS.)")
    faces = _numbers(table, "FACE VALUE(RS.)")
    shares = [row for row, name in enumerate(series) if name in EQUITY_SERIES]
    return (
        {symbols[row]: caps[row] for row in shares if caps[row] > 0},
        {symbols[row]: faces[row] for row in shares if faces[row] > 0},
    )


def _numbers(table: CsvTable, name: str) -> list[float]:
    found: list[float] = table.numbers(name).tolist() if table.has(name) else [nan] * len(table.rows)
    return [0.0 if isnan(value) else value for value in found]


def _result_dates(text: str, session: date) -> dict[str, date]:
    """The next meeting of each company that is about its results, from the text of board meetings."""
    found: dict[str, date] = {}
    for match in _MEETING.finditer(text):
        if not _RESULTS.search(match["purpose"]) or _OUTCOME.search(match["purpose"]):
            continue
        day = _meeting_day(match["day"])
        if day is not None and day >= session:
            symbol = match["symbol"].upper()
            found[symbol] = min(day, found.get(symbol, day))
    return found


def _meeting_day(text: str) -> date | None:
    try:
        return parse_date(text)
    except ValueError:
        return None
