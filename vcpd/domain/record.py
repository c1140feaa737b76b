"""The record of reported setups: what was known when each was reported, chained by hash, and what came of it.

Each entry's hash covers the entry and the hash before it, so the newest hash (the head) covers the whole
record. A head that has left the machine in a digest witnesses every entry up to it; without such a copy
anybody who can write to the database could compute a new chain.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final, Self

import msgspec
import numpy as np

from vcpd import __version__
from vcpd.core.deprecated_names import CONFIG_KEYS
from vcpd.domain.panel import Panel
from vcpd.domain.setups import BaseState, Gate, Setup, SetupGroup

FIRST_HASH: Final = "0" * 64  # stands before the first entry


class BarsDigest(msgspec.Struct, frozen=True, kw_only=True):
    """SHA-256 of a symbol's `count` bars from `first` to `last`: their dates and five values each."""

    first: date
    last: date
    count: int
    sha256: str

    @classmethod
    def of(cls, panel: Panel, row: int, first: date | None = None, last: date | None = None) -> Self | None:
        """The digest of the bars of [first, last], by default of all; None where there is none."""
        days = panel.sessions
        kept = ~np.isnan(panel.close[row])
        if first is not None:
            kept &= days >= np.datetime64(first, "D")
        if last is not None:
            kept &= days <= np.datetime64(last, "D")
        at = np.flatnonzero(kept)
        if not len(at):
            return None
        content = hashlib.sha256(np.ascontiguousarray(days[at].astype("<i8")).tobytes())
        content.update(np.ascontiguousarray(panel.values[:, row, at], "<f8").tobytes())
        begin, end = days[at[0]].item(), days[at[-1]].item()
        return cls(first=begin, last=end, count=len(at), sha256=content.hexdigest())


class ReportedSetup(msgspec.Struct, frozen=True, kw_only=True):
    """One setup as it was reported after `session`; prices in rupees.

    `program` and `settings` are the versions that judged it. `recorded_at` is None until it is stored.
    """

    session: date
    symbol: str
    anchor_date: date | None
    footprint: str | None
    pivot: float | None
    stop: float | None
    structural_stop: float | None
    buy_zone: tuple[float, float] | None
    risk_pct: float | None
    state: BaseState | None
    score: float
    rs_rating: int | None
    close: float | None
    gates: Mapping[str, Gate]
    tolerances: tuple[str, ...]
    provisional: bool
    bars: BarsDigest
    program: str
    settings: str
    recorded_at: datetime | None = None

    @classmethod
    def of(cls, setup: Setup, bars: BarsDigest, settings: str) -> Self:
        shared = set(cls.__struct_fields__) & set(Setup.__struct_fields__)
        known = {name: getattr(setup, name) for name in shared}
        return cls(**known, session=setup.as_of, bars=bars, program=__version__, settings=settings)

    @property
    def content(self) -> str:
        """The canonical JSON without the time: equal where the same was reported twice."""
        return canonical_json(msgspec.structs.replace(self, recorded_at=None))


class RecordEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry as stored: `text` is the canonical JSON of a ReportedSetup, `number` counts from 1."""

    number: int
    symbol: str  # today's; the text has the symbol of then
    previous_hash: str
    hash: str
    text: str

    @property
    def reported(self) -> ReportedSetup:
        """Raises msgspec.MsgspecError for a text that is no reported setup."""
        return msgspec.json.decode(self.text, type=ReportedSetup)


class ChainCheck(msgspec.Struct, frozen=True, kw_only=True):
    """What a check of the chain found; `witnessed` is how many entries the given head covers."""

    entries: int
    head: str | None
    faults: tuple[str, ...]
    witnessed: int | None = None


def canonical_json(value: Any) -> str:
    """The JSON text with sorted keys and no spaces: the same value always gives the same bytes."""
    return msgspec.json.encode(value, order="sorted").decode()


def settings_version(settings: msgspec.Struct) -> str:
    """Twelve hexadecimal digits that change with any of the settings."""
    return _version_of(msgspec.to_builtins(settings))


def known_settings_versions(settings: msgspec.Struct, section: str) -> frozenset[str]:
    """The version of `settings`, and the one that the same values had under the keys of version 0.1.0.

    `section` is their table in config.toml. A renamed key judges nothing differently.
    """
    values: dict[str, Any] = msgspec.to_builtins(settings)
    former = {
        new: key
        for path, new in CONFIG_KEYS.items()
        for table, key in [path.split(".", 1)]
        if table == section
    }
    return frozenset(
        {
            _version_of(values),
            _version_of({former.get(name, name): value for name, value in values.items()}),
        }
    )


def _version_of(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical_json(values).encode()).hexdigest()[:12]


def entry_hash(previous_hash: str, text: str) -> str:
    """SHA-256, in hexadecimal, of the hash before and the entry's canonical JSON."""
    return hashlib.sha256(f"{previous_hash}\n{text}".encode()).hexdigest()


def is_reported(setup: Setup) -> bool:
    """Whether it is in the group that lists, page and digest show first."""
    return setup.group is SetupGroup.SETUP


def reported_setups(panel: Panel, setups: Iterable[Setup], settings: msgspec.Struct) -> list[ReportedSetup]:
    """Returns the reported setups, each with the digest of the bars on which it was evaluated."""
    version = settings_version(settings)
    found = []
    for setup in setups:
        bars = is_reported(setup) and BarsDigest.of(panel, panel.row_of(setup.symbol), last=setup.as_of)
        if bars:
            found.append(ReportedSetup.of(setup, bars, version))
    return found


def check_chain(entries: Sequence[RecordEntry], head: str | None = None) -> ChainCheck:
    """Check that the entries, in order of their number, form one unbroken chain that holds `head`."""
    faults: list[str] = []
    previous_hash, expected = FIRST_HASH, 1
    for entry in entries:
        faults += _entry_faults(entry, previous_hash, expected)
        previous_hash, expected = entry.hash, entry.number + 1
    witnessed = next((entry.number for entry in entries if entry.hash == head), None)
    if head is not None and witnessed is None:
        faults.append(f"no entry has the hash {head}: this is not the record that the digest named")
    newest = entries[-1].hash if entries else None
    return ChainCheck(entries=len(entries), head=newest, faults=tuple(faults), witnessed=witnessed)


def _entry_faults(entry: RecordEntry, previous_hash: str, expected: int) -> list[str]:
    faults = []
    if entry.number != expected:
        faults.append(f"entry {entry.number}: expected entry {expected}, the entries between are missing")
    if entry.previous_hash != previous_hash:
        faults.append(f"entry {entry.number}: it does not follow the hash of the entry before")
    if entry.hash != entry_hash(entry.previous_hash, entry.text):
        faults.append(f"entry {entry.number}: its content does not have the hash it was stored with")
    try:
        _ = entry.reported
    except msgspec.MsgspecError as error:
        faults.append(f"entry {entry.number}: it cannot be read ({error})")
    return faults


class ReportedOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """A base, bought at the close of the session of its first report with the stop of that report.

    `entry` and `stop` are at today's scale of prices. Results are in R, the entry less the stop: `result_r`
    after costs, up to now until `is_finished`. Without a result `reason` says why.
    """

    symbol: str
    session: date
    anchor_date: date | None
    footprint: str | None
    state: BaseState | None
    score: float
    entry: float | None = None
    stop: float | None = None
    held_sessions: int | None = None
    result_r: float | None = None
    best_r: float | None = None
    worst_r: float | None = None
    is_stopped: bool = False
    is_finished: bool = False  # the bars reach to the end of the holding time, so that it is counted
    reason: str | None = None


class RecordReport(msgspec.Struct, frozen=True, kw_only=True):
    """Every reported base, newest first, and estimates of the mean result of the finished ones.

    Estimates have the fields of `vcpd history`; `by_term` is what the market did on the evening before.
    """

    as_of: date
    horizon_sessions: int
    cost_pct: float
    bases: int
    finished: int
    unknown: int  # without a result
    all: Any
    by_state: Mapping[str, Any]
    by_month: Mapping[str, Any]
    by_term: Mapping[str, Any]
    items: Sequence[ReportedOutcome]
