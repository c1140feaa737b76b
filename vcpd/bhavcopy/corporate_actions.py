"""Corporate actions: parses splits and bonuses from free text, and back-adjusts bars for them.

A split from face value a to b multiplies older prices by b / a; a bonus of a new shares for b held ones
by b / (a + b). A subject may name both. Dividends, rights and schemes are not adjusted for.

Nothing is rounded, so a day's traded value stays what it was.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from fractions import Fraction
from math import log, prod
from typing import Any, Final

import msgspec
import numpy as np

from vcpd.core.csv_table import EMPTY_CELLS, read_csv_table
from vcpd.core.dates import parse_date
from vcpd.core.errors import BadInputError
from vcpd.domain.bars import PRICE_FIELDS, BarSeries, FloatArray

_NUMBER: Final = r"(\d+(?:\.\d+)?)"
_RUPEES: Final = r"(?:rs|re|inr|₹)?\.?\s*"
_BONUS: Final = re.compile(
    rf"\bbonus\b(?P<kind>[^\d|/]*?){_NUMBER}\s*:\s*{_NUMBER}"
    r"(?P<rest>(?:(?!\band\b|\bbonus\b|\bsplit|\bdividend\b|\bface value\b|\bfv)[^|/;&+])*)",
    re.IGNORECASE,
)
_SPLIT: Final = re.compile(
    rf"(?:split|splt|sub-?\s?division|consolidat)(?:(?!bonus)[^|])*?{_NUMBER}[^\d|]*?\bto\s*{_RUPEES}{_NUMBER}",
    re.IGNORECASE,
)
_SPLIT_MENTION: Final = re.compile(r"split|splt|sub-?\s?division|consolidat", re.IGNORECASE)
_BONUS_MENTION: Final = re.compile(r"\bbonus\b", re.IGNORECASE)
_NOT_EQUITY: Final = re.compile(  # a bonus of these leaves the price of the ordinary share alone
    r"debenture|\bncds?\b|\bn?crps\b|\bccps\b|\bocps\b|\brps\b|preference|\bpref|\bdvrs?\b|"
    r"differential|\bwarrants?\b|\bbonds?\b|redeemable",
    re.IGNORECASE,
)
SYMBOL_NAMES: Final = ("SYMBOL",)
SUBJECT_NAMES: Final = ("SUBJECT", "PURPOSE")
EX_DATE_NAMES: Final = ("EXDATE", "EX-DATE", "EX DATE", "EX_DT", "EX_DATE")
VERIFIABLE_FACTOR: Final = 2 / 3  # a step of this size cannot be one session's ordinary move


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


class ActionKind(StrEnum):
    """What changes the number of shares without changing what the company is worth."""

    BONUS = "bonus"
    SPLIT = "split"


ActionTerms = tuple[ActionKind, Fraction]


def parse_terms(subject: str) -> frozenset[ActionTerms] | None:
    """The splits and bonuses that a subject names, None where one is named without its terms."""
    bonuses, splits = _bonuses(subject), _splits(subject)
    if bonuses is None or splits is None:
        return None
    return frozenset(
        [
            *((ActionKind.BONUS, factor) for factor in bonuses),
            *((ActionKind.SPLIT, factor) for factor in splits),
        ]
    )


def combined_factor(terms: Iterable[ActionTerms]) -> float:
    """What all the terms together multiply older prices by."""
    return float(prod((factor for _, factor in terms), start=Fraction(1)))


ActionRow = tuple[str, str, str]  # symbol, ex-date and subject, as published


def parse_actions(body: bytes, name: str) -> list[ActionRow]:
    """The rows of a list as published: JSON of the exchange's site, or one of its CSV files.

    BadInputError for a file that is neither.
    """
    return _json_rows(body, name) if body.lstrip()[:1] in (b"[", b"{") else _csv_rows(body, name)


def merge_actions(rows: Iterable[ActionRow]) -> ActionList:
    """The actions that the rows of all lists name; one that is repeated counts once.

    Different actions of a share on one date are multiplied.
    """
    found: dict[tuple[str, date], dict[ActionTerms, str]] = {}
    unreadable: dict[str, None] = {}
    for symbol, ex_date, subject in rows:
        words = " ".join(subject.split())
        terms, day = parse_terms(words), _parse_day(ex_date)
        if terms is None or (terms and day is None):
            unreadable[f"{symbol} {ex_date}: {words}"] = None
        elif day is not None:
            found.setdefault((symbol, day), {}).update(dict.fromkeys(terms, words))
    actions = (_action(symbol, day, terms) for (symbol, day), terms in sorted(found.items()) if terms)
    return ActionList(tuple(actions), tuple(unreadable))


def _action(symbol: str, day: date, terms: Mapping[ActionTerms, str]) -> CorporateAction:
    return CorporateAction(symbol, day, combined_factor(terms), " | ".join(dict.fromkeys(terms.values())))


def _bonuses(subject: str) -> list[Fraction] | None:
    ratios = [
        (Fraction(match[2]), Fraction(match[3]))
        for match in _BONUS.finditer(subject)
        if not _NOT_EQUITY.search(f"{match['kind']} {match['rest']}")
    ]
    is_silent = not ratios and _BONUS_MENTION.search(subject) and not _NOT_EQUITY.search(subject)
    if is_silent or any(new <= 0 or held <= 0 for new, held in ratios):
        return None
    return [held / (held + new) for new, held in ratios]


def _splits(subject: str) -> list[Fraction] | None:
    values = [(Fraction(match[1]), Fraction(match[2])) for match in _SPLIT.finditer(subject)]
    is_silent = not values and _SPLIT_MENTION.search(subject)
    if is_silent or any(before <= 0 or after <= 0 for before, after in values):
        return None
    return [after / before for before, after in values]


def _parse_day(text: str) -> date | None:
    try:
        return parse_date(text)
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
    columns = [_first_present(names, folded) for names in (SYMBOL_NAMES, EX_DATE_NAMES, SUBJECT_NAMES)]
    if None in columns:
        raise BadInputError(f"{name}, item {number}: expected symbol, exDate and subject")
    symbol, ex_date, subject = (folded[column or ""] for column in columns)
    return symbol.upper(), ex_date, subject


def _csv_rows(body: bytes, name: str) -> list[ActionRow]:
    sheet = read_csv_table(body, name)
    columns = [_first_present(names, sheet.header) for names in (SYMBOL_NAMES, EX_DATE_NAMES, SUBJECT_NAMES)]
    if None in columns:
        raise BadInputError(f"{name}, row 1: expected columns SYMBOL, EX-DATE and PURPOSE")
    symbols, ex_dates, subjects = (sheet.texts(column or "") for column in columns)
    rows = zip(symbols, ex_dates, subjects, strict=True)
    return [
        (symbol.upper(), day, subject) for symbol, day, subject in rows if symbol.lower() not in EMPTY_CELLS
    ]


def _first_present(names: Iterable[str], present: Mapping[str, Any]) -> str | None:
    return next((name for name in names if name in present), None)


@dataclass(frozen=True, slots=True, eq=False)
class AdjustedSeries:
    """The adjusted bars, and the listed actions that the prices contradict: those were not applied."""

    series: BarSeries
    contradicted: tuple[CorporateAction, ...] = ()


def adjust(series: BarSeries, actions: Sequence[CorporateAction], as_of: date) -> AdjustedSeries:
    """Back-adjust for the actions whose ex-date has come by `as_of`.

    A list can name the wrong share or date. Where an action would move the price by a third or more, and
    the price at its ex-date stepped nearer to nothing than to that, the action is not applied.
    """
    factors = _by_date(action for action in actions if action.ex_date <= as_of)
    believed = {day: factor for day, factor in factors.items() if _agrees_with_prices(series, day, factor)}
    doubted = tuple(one for one in actions if one.ex_date in factors and one.ex_date not in believed)
    return AdjustedSeries(_scaled(series, believed) if believed else series, doubted)


def adjustment_factors(series: BarSeries, factors: Mapping[date, float]) -> FloatArray:
    """(n,): the product of the factors whose ex-date lies after each bar."""
    days = sorted(factors)
    steps = np.array([1.0, *(factors[day] for day in reversed(days))], np.float64)
    products: FloatArray = np.multiply.accumulate(steps)[::-1]
    following = np.searchsorted(np.array(days, "M8[D]"), series.sessions, side="right")
    return np.asarray(products[following], np.float64)


def _by_date(actions: Iterable[CorporateAction]) -> dict[date, float]:
    factors: dict[date, float] = {}
    for action in actions:
        factors[action.ex_date] = factors.get(action.ex_date, 1.0) * action.factor
    return factors


def _scaled(series: BarSeries, factors: Mapping[date, float]) -> BarSeries:
    records = series.records.copy()
    scale = adjustment_factors(series, factors)
    for name in PRICE_FIELDS:
        records[name] *= scale
    records["volume"] /= scale
    return BarSeries(series.symbol, records)


def _agrees_with_prices(series: BarSeries, ex_date: date, factor: float) -> bool:
    """Whether the prices around `ex_date` let the action be; they do when they are missing."""
    if VERIFIABLE_FACTOR < factor < 1 / VERIFIABLE_FACTOR:
        return True
    at = int(np.searchsorted(series.sessions, np.datetime64(ex_date, "D")))
    if not 0 < at < len(series):
        return True
    before, after = float(series.close[at - 1]), float(series.open[at])
    if not (before > 0 and after > 0):
        return True
    step = log(after / before)
    return abs(step - log(factor)) < abs(step)
