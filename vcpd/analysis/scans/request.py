"""Requests of scans: those saved in the configuration, and the request that a worker evaluates.

Without polars, so that the daemon and the configuration read scans and leave their evaluation to workers.
"""

import difflib
from collections.abc import Mapping
from datetime import date
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from vcpd.analysis.scans.language import VERDICT_NAMES
from vcpd.analysis.scans.parser import parse_scan, walk
from vcpd.analysis.scans.presets import PRESETS
from vcpd.core.errors import BadInputError
from vcpd.domain.scans import ScanName, SymbolVerdict


class ScanSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Saved scans, and those that the job `scan` follows; docs/scans.md describes the language."""

    reloadable: ClassVar[bool] = True

    saved: Annotated[
        Mapping[ScanName, str],
        Meta(description='Scans by name, such as leaders = "rs >= 90 and close > sma(50)".'),
    ] = {}
    follow: Annotated[
        tuple[str, ...],
        Meta(description="Names of saved scans or presets: an alert says which symbols enter and leave."),
    ] = ()

    def __post_init__(self) -> None:
        """Raises ValueError with the name of the scan and the position of what is wrong in it."""
        for name, expression in self.saved.items():
            try:
                parse_scan(expression)
            except BadInputError as error:
                raise ValueError(f"saved.{name}: {error}") from None
        for name in self.follow:
            try:
                find_scan(name, self.saved)
            except BadInputError as error:
                raise ValueError(f"follow: {error}") from None


class ScanParams(msgspec.Struct, frozen=True, kw_only=True):
    """A scan's text and session; `verdicts` are those of that very session, None where there are none.

    `symbol` is answered in full, also where it does not match.
    """

    expression: str
    as_of: date | None = None
    name: str | None = None
    symbol: str | None = None
    verdicts: tuple[SymbolVerdict, ...] | None = None
    min_rs_universe: int = 2


def session_names(expression: str) -> frozenset[str]:
    """The names of the scan whose values come from what is stored of its session. ScanError for the text."""
    return frozenset(node.operation for node in walk(parse_scan(expression))) & VERDICT_NAMES.keys()


def needs_verdicts(expression: str) -> bool:
    """Whether the scan asks for a value of the detector, the risk score, or the market."""
    return bool(session_names(expression))


def find_scan(name: str, saved: Mapping[str, str]) -> str:
    """The expression of a saved scan, else of a preset. BadInputError for an unknown name."""
    if name in saved:
        return saved[name]
    if name in PRESETS:
        return PRESETS[name].expression
    known = sorted({*saved, *PRESETS})
    near = difflib.get_close_matches(name, known, n=1)
    meant = f", did you mean {near[0]}?" if near else ";"
    raise BadInputError(f"there is no scan {name!r}{meant} known are {', '.join(known)}")


class ListedScan(msgspec.Struct, frozen=True):
    """A scan that can be asked for by name; `source` says where a preset's method is described.

    `is_stored` is one that was saved on the page, and can be changed and removed there.
    """

    name: str
    title: str
    expression: str
    source: str | None = None
    followed: bool = False
    is_stored: bool = False


def list_scans(settings: ScanSettings) -> list[ListedScan]:
    """The saved scans, then the presets that no saved scan replaces."""
    own = [
        ListedScan(name, "saved", expression, followed=name in settings.follow)
        for name, expression in sorted(settings.saved.items())
    ]
    presets = [
        ListedScan(name, preset.title, preset.expression, preset.source, name in settings.follow)
        for name, preset in PRESETS.items()
        if name not in settings.saved
    ]
    return own + presets
