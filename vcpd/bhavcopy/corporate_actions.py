"""Corporate actions: reads and merges lists of them, and back-adjusts bars for them.

A split from face value a to b multiplies older prices by b / a; a bonus of a new shares for b held ones
by b / (a + b). What the others do depends on the close before the ex-date, P:

- a rights issue of r new shares per held one at a price I below P: (P + r I) / (P + r P);
- dividends D of at least 2 % of P: (P - D) / P; smaller ones are not adjusted for;
- a demerger: the first trade after it over P, where that is lower by 2 % or more.

Nothing is rounded, so a day's traded value stays what it was.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from math import isnan, log, nan
from types import MappingProxyType
from typing import Any, Final

import msgspec
import numpy as np

from vcpd.bhavcopy.action_terms import (
    PRICED_KINDS,
    ActionKind,
    ActionTerm,
    combined_factor,
    read_purpose,
)
from vcpd.core.csv_table import EMPTY_CELLS, read_csv_table
from vcpd.core.dates import parse_date
from vcpd.core.errors import BadInputError
from vcpd.domain.bars import PRICE_FIELDS, BarSeries, FloatArray

SYMBOL_NAMES: Final = ("SYMBOL",)
SUBJECT_NAMES: Final = ("SUBJECT", "PURPOSE")
EX_DATE_NAMES: Final = ("EXDATE", "EX-DATE", "EX DATE", "EX_DT", "EX_DATE")
VERIFIABLE_FACTOR: Final = 2 / 3  # a step of this size cannot be one session's ordinary move
EXTRAORDINARY_SHARE: Final = 0.02  # of the price: a dividend from here on is adjusted for, as Kite does

ActionRow = tuple[str, str, str]  # symbol, ex-date and subject, as published


@dataclass(frozen=True, slots=True)
class CorporateAction:
    """From `ex_date` on the share of `symbol` costs `factor` times what it cost before, all else equal.

    `priced` are further terms whose factor depends on the close before. `listed_on` is the date of the file
    that names the symbol so; None where a list names it by today's symbol.
    """

    symbol: str
    ex_date: date
    factor: float
    subject: str
    priced: frozenset[ActionTerm] = frozenset()
    face_value: float = nan
    listed_on: date | None = None
    is_given: bool = False  # by a user's own list

    @property
    def key(self) -> tuple[str, date | None]:
        """What two lists mean by the same action."""
        return self.symbol, self.ex_date


@dataclass(frozen=True, slots=True)
class UnclearAction:
    """An action that may change the price in a way that its purpose does not say; `ex_date` None: unknown."""

    symbol: str
    ex_date: date | None
    subject: str
    reason: str
    is_minor: bool = False  # a dividend at most
    listed_on: date | None = None

    @property
    def key(self) -> tuple[str, date | None]:
        return self.symbol, self.ex_date

    def __str__(self) -> str:
        return f"{self.symbol} {self.ex_date or '-'}: {self.subject}: {self.reason}"


@dataclass(frozen=True, slots=True)
class ActionList:
    """The actions of a list that change prices, each once, and those that are unclear."""

    actions: tuple[CorporateAction, ...] = ()
    unclear: tuple[UnclearAction, ...] = ()

    def completed_by(self, other: "ActionList") -> "ActionList":
        """These, and those of `other` for shares and dates on which these have no clear action.

        An unclear action that the other list explains is no longer unclear. What a user gave wins.
        """
        given = {action.key for action in other.actions if action.is_given}
        own = tuple(action for action in self.actions if action.key not in given)
        known = {action.key for action in own}
        actions = (*own, *(action for action in other.actions if action.key not in known))
        clear = {action.key for action in actions}
        doubts = {doubt.key: doubt for doubt in (*other.unclear, *self.unclear)}
        return ActionList(actions, tuple(doubt for key, doubt in doubts.items() if key not in clear))


def parse_actions(body: bytes, name: str) -> list[ActionRow]:
    """The rows of a list as published: JSON of the exchange's site, or one of its CSV files.

    BadInputError for a file that is neither.
    """
    return _json_rows(body, name) if body.lstrip()[:1] in (b"[", b"{") else _csv_rows(body, name)


def merge_actions(
    rows: Iterable[ActionRow],
    face_values: Mapping[str, float] = MappingProxyType({}),
    listed_on: date | None = None,
) -> ActionList:
    """The actions that the rows name, each once; `face_values` in rupees by symbol.

    Different actions of a share on one date are combined, its dividends summed.
    """
    subjects: dict[tuple[str, str], dict[str, None]] = {}
    for symbol, ex_date, subject in rows:
        subjects.setdefault((symbol, ex_date.strip()), {})[" ".join(subject.split())] = None
    by_day: dict[tuple[str, date | None], dict[str, None]] = {}
    for (symbol, text), words in subjects.items():
        by_day.setdefault((symbol, parse_day(text)), {}).update(words)
    actions: list[CorporateAction] = []
    unclear: list[UnclearAction] = []
    for (symbol, day), words in sorted(by_day.items(), key=lambda item: (item[0][0], str(item[0][1]))):
        action, doubts = _merge_subjects(symbol, day, tuple(words), face_values.get(symbol, nan), listed_on)
        actions += action
        unclear += doubts
    return ActionList(tuple(actions), tuple(unclear))


def _merge_subjects(
    symbol: str, day: date | None, subjects: Sequence[str], face_value: float, listed_on: date | None
) -> tuple[list[CorporateAction], list[UnclearAction]]:
    """The action that all subjects of a share and date make, if any, and what is unclear about them."""
    purposes = {subject: read_purpose(subject) for subject in subjects}
    terms = _distinct_terms(purpose.terms for purpose in purposes.values())
    doubts = {
        words: (purpose.unclear, purpose.is_minor) for words, purpose in purposes.items() if purpose.unclear
    }
    named = [words for words, purpose in purposes.items() if purpose.terms]
    if terms and day is None:
        doubts |= dict.fromkeys(named, ("the ex-date is missing", False))
    if any(term.is_premium for term in terms) and isnan(face_value):
        doubts |= dict.fromkeys(named, ("the face value is unknown", False))
        terms = frozenset(term for term in terms if not term.is_premium)
    unclear = [
        UnclearAction(symbol, day, words, reason, is_minor, listed_on)
        for words, (reason, is_minor) in doubts.items()
    ]
    if day is None or not terms:
        return [], unclear
    priced = frozenset(term for term in terms if term.kind in PRICED_KINDS)
    action = CorporateAction(
        symbol,
        day,
        combined_factor(terms - priced),
        " | ".join(named),
        priced,
        face_value,
        listed_on,
        is_given=any(term.kind is ActionKind.GIVEN for term in terms),
    )
    return [action], unclear


def _distinct_terms(parts: Iterable[frozenset[ActionTerm]]) -> frozenset[ActionTerm]:
    """Each term once; the dividends of different subjects are one sum."""
    listed = [term for part in parts for term in part]
    rupees = sum(term.rupees for term in listed if term.kind is ActionKind.DIVIDEND)
    others = frozenset(term for term in listed if term.kind is not ActionKind.DIVIDEND)
    return others | ({ActionTerm(ActionKind.DIVIDEND, rupees=rupees)} if rupees else frozenset())


@lru_cache(maxsize=4096)
def parse_day(text: str) -> date | None:
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
    due: dict[date, list[CorporateAction]] = {}
    for action in actions:
        if action.ex_date <= as_of:
            due.setdefault(action.ex_date, []).append(action)
    factors: dict[date, float] = {}
    contradicted: list[CorporateAction] = []
    for day, listed in due.items():
        before, opened = _prices_around(series, day)
        factor = _product(action_factor(action, before, opened) for action in listed)
        if _agrees_with_prices(before, opened, factor):
            factors[day] = factor
        else:
            contradicted += listed
    moved = {day: factor for day, factor in factors.items() if factor != 1.0}
    return AdjustedSeries(_scaled(series, moved) if moved else series, tuple(contradicted))


def action_factor(action: CorporateAction, before: float, opened: float) -> float:
    """What an action multiplies older prices by.

    `before` is the close before the ex-date, `opened` the first price after it, in rupees of their time;
    NaN where unknown: then its priced terms do nothing.
    """
    priced = (_priced_factor(term, before, opened, action.face_value) for term in action.priced)
    return action.factor * _product(priced)


def _priced_factor(term: ActionTerm, before: float, opened: float, face_value: float) -> float:
    if not before > 0:
        return 1.0
    if term.kind is ActionKind.DIVIDEND:
        is_paid = EXTRAORDINARY_SHARE * before <= term.rupees < before
        return (before - term.rupees) / before if is_paid else 1.0
    if term.kind is ActionKind.DEMERGER:
        return opened / before if 0 < opened <= (1 - EXTRAORDINARY_SHARE) * before else 1.0
    issue_price = term.rupees + (face_value if term.is_premium else 0.0)
    if not issue_price < before:
        return 1.0
    ratio = float(term.ratio)
    return (before + ratio * issue_price) / (before + ratio * before)


def adjustment_factors(series: BarSeries, factors: Mapping[date, float]) -> FloatArray:
    """(n,): the product of the factors whose ex-date lies after each bar."""
    days = sorted(factors)
    steps = np.array([1.0, *(factors[day] for day in reversed(days))], np.float64)
    products: FloatArray = np.multiply.accumulate(steps)[::-1]
    following = np.searchsorted(np.array(days, "M8[D]"), series.sessions, side="right")
    return np.asarray(products[following], np.float64)


def _product(factors: Iterable[float]) -> float:
    product = 1.0
    for factor in factors:
        product *= factor
    return product


def _scaled(series: BarSeries, factors: Mapping[date, float]) -> BarSeries:
    records = series.records.copy()
    scale = adjustment_factors(series, factors)
    for name in PRICE_FIELDS:
        records[name] *= scale
    records["volume"] /= scale
    return BarSeries(series.symbol, records)


def _prices_around(series: BarSeries, ex_date: date) -> tuple[float, float]:
    """The close before `ex_date` and the first open from it on; NaN where there is none."""
    at = int(np.searchsorted(series.sessions, np.datetime64(ex_date, "D")))
    before = float(series.close[at - 1]) if at > 0 else nan
    return before, float(series.open[at]) if at < len(series) else nan


def _agrees_with_prices(before: float, opened: float, factor: float) -> bool:
    """Whether the prices around the ex-date let the action be; they do when they are missing."""
    is_small = VERIFIABLE_FACTOR < factor < 1 / VERIFIABLE_FACTOR
    if is_small or not (before > 0 and opened > 0):
        return True
    step = log(opened / before)
    return abs(step - log(factor)) < abs(step)
