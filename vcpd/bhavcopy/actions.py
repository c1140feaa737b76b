"""The exchange's list of corporate actions: what its free text means for the price of a share.

A split from face value a to b multiplies older prices by b / a; a bonus of a new shares for b held ones
by b / (a + b). A subject may name both. Dividends, rights and schemes are not adjusted for.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from fractions import Fraction
from math import prod
from typing import Any, Final

import msgspec

from vcpd.bhavcopy.dates import read_date
from vcpd.bhavcopy.sheet import NOTHING, read_sheet
from vcpd.domain.errors import BadInputError

_NUMBER: Final = r"(\d+(?:\.\d+)?)"
_RUPEES: Final = r"(?:rs|re|inr|₹)?\.?\s*"
_BONUS: Final = re.compile(rf"\bbonus\b(?P<what>[^\d|/]*?){_NUMBER}\s*:\s*{_NUMBER}", re.IGNORECASE)
_SPLIT: Final = re.compile(
    rf"(?:split|splt|sub-?\s?division|consolidat)(?:(?!bonus)[^|])*?{_NUMBER}[^\d|]*?\bto\s*{_RUPEES}{_NUMBER}",
    re.IGNORECASE,
)
_SPLIT_MEANT: Final = re.compile(r"split|splt|sub-?\s?division|consolidat", re.IGNORECASE)
_BONUS_MEANT: Final = re.compile(r"\bbonus\b", re.IGNORECASE)
_NO_SHARES: Final = re.compile(r"debenture|\bncd|ncrps|preference|\bpref", re.IGNORECASE)
SYMBOL_NAMES: Final = ("SYMBOL",)
SUBJECT_NAMES: Final = ("SUBJECT", "PURPOSE")
EX_DATE_NAMES: Final = ("EXDATE", "EX-DATE", "EX DATE", "EX_DT", "EX_DATE")


@dataclass(frozen=True, slots=True)
class CorporateAction:
    """From `ex_date` on the share of `symbol` costs `factor` times what it cost before, all else equal."""

    symbol: str
    ex_date: date
    factor: float
    subject: str


@dataclass(frozen=True, slots=True)
class ActionList:
    """The splits and bonuses of a list, each once, and the subjects that name one without its terms."""

    actions: tuple[CorporateAction, ...] = ()
    unreadable: tuple[str, ...] = ()


class Kind(StrEnum):
    """What changes the number of shares without changing what the company is worth."""

    BONUS = "bonus"
    SPLIT = "split"


Terms = tuple[Kind, Fraction]


def terms_of(subject: str) -> frozenset[Terms] | None:
    """The splits and bonuses that a subject names, None where one is named without its terms."""
    bonuses, splits = _bonuses(subject), _splits(subject)
    if bonuses is None or splits is None:
        return None
    return frozenset(
        [*((Kind.BONUS, factor) for factor in bonuses), *((Kind.SPLIT, factor) for factor in splits)]
    )


def factor_of(terms: Iterable[Terms]) -> float:
    """What all the terms together multiply older prices by."""
    return float(prod((factor for _, factor in terms), start=Fraction(1)))


ActionRow = tuple[str, str, str]  # symbol, ex-date and subject, as published


def parse_actions(body: bytes, name: str) -> list[ActionRow]:
    """The rows of a list as published: JSON of the exchange's site, or one of its CSV files.

    BadInputError for a file that is neither.
    """
    return _json_rows(body, name) if body.lstrip()[:1] in (b"[", b"{") else _csv_rows(body, name)


def gather_actions(rows: Iterable[ActionRow]) -> ActionList:
    """The actions that the rows of all lists name; one that is repeated counts once.

    Different actions of a share on one date are multiplied.
    """
    found: dict[tuple[str, date], dict[Terms, str]] = {}
    unreadable: dict[str, None] = {}
    for symbol, ex_date, subject in rows:
        words = " ".join(subject.split())
        terms, day = terms_of(words), _day(ex_date)
        if terms is None or (terms and day is None):
            unreadable[f"{symbol} {ex_date}: {words}"] = None
        elif day is not None:
            found.setdefault((symbol, day), {}).update(dict.fromkeys(terms, words))
    actions = (_action(symbol, day, terms) for (symbol, day), terms in sorted(found.items()) if terms)
    return ActionList(tuple(actions), tuple(unreadable))


def _action(symbol: str, day: date, terms: Mapping[Terms, str]) -> CorporateAction:
    return CorporateAction(symbol, day, factor_of(terms), " | ".join(dict.fromkeys(terms.values())))


def _bonuses(subject: str) -> list[Fraction] | None:
    ratios = [
        (Fraction(match[2]), Fraction(match[3]))
        for match in _BONUS.finditer(subject)
        if not _NO_SHARES.search(match["what"])
    ]
    is_silent = not ratios and _BONUS_MEANT.search(subject) and not _NO_SHARES.search(subject)
    if is_silent or any(new <= 0 or held <= 0 for new, held in ratios):
        return None
    return [held / (held + new) for new, held in ratios]


def _splits(subject: str) -> list[Fraction] | None:
    values = [(Fraction(match[1]), Fraction(match[2])) for match in _SPLIT.finditer(subject)]
    is_silent = not values and _SPLIT_MEANT.search(subject)
    if is_silent or any(before <= 0 or after <= 0 for before, after in values):
        return None
    return [after / before for before, after in values]


def _day(text: str) -> date | None:
    try:
        return read_date(text)
    except ValueError:
        return None


def _json_rows(body: bytes, name: str) -> list[ActionRow]:
    try:
        found = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise BadInputError(f"{name}: not valid JSON: {error}") from None
    if isinstance(found, dict):
        found = found.get("data", found.get("equityActions"))
    if not isinstance(found, list):
        raise BadInputError(f"{name}: expected a list of corporate actions")
    return [_json_row(item, name, number) for number, item in enumerate(found, 1)]


def _json_row(item: Any, name: str, number: int) -> ActionRow:
    if not isinstance(item, dict):
        raise BadInputError(f"{name}, item {number}: expected an object")
    folded = {str(key).upper(): "" if value is None else str(value).strip() for key, value in item.items()}
    columns = [_first_of(names, folded) for names in (SYMBOL_NAMES, EX_DATE_NAMES, SUBJECT_NAMES)]
    if None in columns:
        raise BadInputError(f"{name}, item {number}: expected symbol, exDate and subject")
    symbol, ex_date, subject = (folded[column or ""] for column in columns)
    return symbol.upper(), ex_date, subject


def _csv_rows(body: bytes, name: str) -> list[ActionRow]:
    sheet = read_sheet(body, name)
    columns = [_first_of(names, sheet.header) for names in (SYMBOL_NAMES, EX_DATE_NAMES, SUBJECT_NAMES)]
    if None in columns:
        raise BadInputError(f"{name}, row 1: expected columns SYMBOL, EX-DATE and PURPOSE")
    symbols, ex_dates, subjects = (sheet.texts(column or "") for column in columns)
    rows = zip(symbols, ex_dates, subjects, strict=True)
    return [(symbol.upper(), day, subject) for symbol, day, subject in rows if symbol not in NOTHING]


def _first_of(names: Iterable[str], present: Mapping[str, Any]) -> str | None:
    return next((name for name in names if name in present), None)
