"""Reads the purpose of a corporate action: terms of bonuses, splits, rights issues, dividends, demergers.

The exchange writes purposes as free text, in two spellings: `Face Value Split (Sub-Division) - From Rs 10/-
Per Share To Rs 2/- Per Share` on its site, `FVSPLT FRM RS 10 TO RS 2` in its archive. A purpose may name
several actions. A purpose that may change the price in a way that its words do not say is unclear.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from math import prod
from typing import Final

_NUMBER: Final = r"(\d+(?:\.\d+)?)"
_RUPEES: Final = r"(?:rs|re|inr|₹)?\.?\s*"
_BONUS: Final = re.compile(
    rf"\bbonus\b(?P<kind>[^\d|/]*?){_NUMBER}\s*:\s*{_NUMBER}"
    r"(?P<rest>(?:(?!\band\b|\bbonus\b|\bsplit|\bdividend\b|\bface value\b|\bfv)[^|/;&+])*)",
    re.IGNORECASE,
)
_SPLIT: Final = re.compile(
    r"(?:split|splt|\bspl\b(?!\W*div)|fv\s?spl|sub-?\s?division|consolidat|\bconsol?\b)"
    rf"(?:(?!bonus)[^|])*?{_NUMBER}[^\d|]*?\bto\s*{_RUPEES}{_NUMBER}",
    re.IGNORECASE,
)
_SPLIT_MENTION: Final = re.compile(
    r"split|splt|fv\s?spl|sub-?\s?division|consolidat|\bconsol?\b", re.IGNORECASE
)
_BONUS_MENTION: Final = re.compile(r"\bbonus\b", re.IGNORECASE)
_NOT_EQUITY: Final = re.compile(  # a bonus of these leaves the price of the ordinary share alone
    r"debenture|\bncds?\b|\bn?crps\b|\bccps\b|\bocps\b|\brps\b|preference|\bpref|\bdvrs?\b|"
    r"differential|\bwarrants?\b|\bbonds?\b|redeemable",
    re.IGNORECASE,
)
_RIGHTS: Final = re.compile(
    rf"\b(?:rights?|rghts?)\b(?P<kind>[^\d|]*?){_NUMBER}\s*:\s*{_NUMBER}"
    rf"(?:[^@|]{{0,40}}@\s*(?P<premium>prm|prem\w*)?\W*(?P<par>par\b)?{_RUPEES}(?P<price>\d+(?:\.\d+)?)?)?",
    re.IGNORECASE,
)
_RIGHTS_MENTION: Final = re.compile(r"\b(?:rights?|rghts?)\b(?!\s*(?:of|to vote))", re.IGNORECASE)
_DIVIDEND: Final = re.compile(
    rf"(?:div(?:idend|d)?s?)\b(?P<words>[^\d%|/+&]*?){_NUMBER}\s*(?P<percent>%|per\s?cent)?", re.IGNORECASE
)
_DIVIDEND_MENTION: Final = re.compile(r"div(?:idend|d)?s?\b", re.IGNORECASE)
_DEMERGER: Final = re.compile(r"de-?\s?merger|\bdemrgr\b|spin-?\s?off", re.IGNORECASE)
_UNCLEAR: Final = re.compile(
    r"cap(?:ital)?\.?\s?red|\bsch(?:eme)?\b|arr?an?ge?me?nt|\bagmt\b|amalg|\bmerger\b|reorgani[sz]",
    re.IGNORECASE,
)
_NEUTRAL: Final = re.compile(
    r"\ba\.?g\.?m\b|\be\.?g\.?m\b|general meeting|annual|extra-?\s?ordinary|buy-?\s?back|\bint(?:erest)?\b|"
    r"redemption|redem|\b(?:first|second|third|final|1st|2nd|3rd)\s(?:and final\s)?c(?:a?l)?l\b|\bcall\b|"
    r"court|ballot|book closure|conversion|maturity|payment|election|\bipo\b|"
    r"open offer|change of name|name change|distribution|return of capital",
    re.IGNORECASE,
)
_NO_ADJUSTMENT: Final = re.compile(r"\bno adjustment\b", re.IGNORECASE)
_GIVEN_FACTOR: Final = re.compile(rf"\bfactor\s*{_NUMBER}", re.IGNORECASE)


class ActionKind(StrEnum):
    """What changes the price of a share without changing what its holder has."""

    BONUS = "bonus"
    SPLIT = "split"
    GIVEN = "given"  # a factor that the user wrote into a list
    RIGHTS = "rights"
    DIVIDEND = "dividend"
    DEMERGER = "demerger"


PRICED_KINDS: Final = frozenset({ActionKind.RIGHTS, ActionKind.DIVIDEND, ActionKind.DEMERGER})
"""What they do to older prices depends on the close before the ex-date."""


@dataclass(frozen=True, slots=True)
class ActionTerm:
    """One action: older prices times `factor`, or a priced action with its amounts in rupees a share.

    `ratio` is the new shares per held share of a rights issue, `rupees` its issue price, or the premium
    over the face value with `is_premium`; of a dividend `rupees` is what is paid.
    """

    kind: ActionKind
    factor: Fraction = Fraction(1)
    ratio: Fraction = Fraction(0)
    rupees: float = 0.0
    is_premium: bool = False


@dataclass(frozen=True, slots=True)
class Purpose:
    """The terms of a purpose, and blank or the reason why it may change the price in an unknown way."""

    terms: frozenset[ActionTerm] = frozenset()
    unclear: str = ""
    is_minor: bool = False  # unclear, but a dividend at most


def read_purpose(text: str) -> Purpose:
    """The terms that a purpose names. Unclear where an action is named without terms, or none is known."""
    words = " ".join(text.split())
    if given := _given_factors(words):
        return Purpose(frozenset(ActionTerm(ActionKind.GIVEN, factor) for factor in given))
    found = [_bonuses(words), _splits(words), _rights(words), _dividends(words), _demergers(words)]
    terms = frozenset(term for part in found for term in part or ())
    names = ("bonus", "split", "rights issue", "dividend", "demerger")
    silent = [name for name, part in zip(names, found, strict=True) if part is None]
    if silent:
        return Purpose(terms, f"names a {silent[0]} without its terms", is_minor=silent == ["dividend"])
    if terms or _names_other_security(words):
        return Purpose(terms)
    if _UNCLEAR.search(words):
        return Purpose(unclear="a scheme or reduction whose effect on the price is not stated")
    if not words or _NEUTRAL.search(words):
        return Purpose()
    return Purpose(unclear="a purpose that vcpd does not know")


def combined_factor(terms: Iterable[ActionTerm]) -> float:
    """What bonuses and splits among the terms multiply older prices by."""
    return float(prod((term.factor for term in terms), start=Fraction(1)))


def _given_factors(words: str) -> list[Fraction]:
    if _NO_ADJUSTMENT.search(words):
        return [Fraction(1)]
    return [factor for match in _GIVEN_FACTOR.finditer(words) if (factor := Fraction(match[1]))]


def _names_other_security(words: str) -> bool:
    names_issue = _BONUS_MENTION.search(words) or _RIGHTS_MENTION.search(words)
    return bool(names_issue and _NOT_EQUITY.search(words))


def _bonuses(subject: str) -> list[ActionTerm] | None:
    ratios = [
        (Fraction(match[2]), Fraction(match[3]))
        for match in _BONUS.finditer(subject)
        if not _NOT_EQUITY.search(f"{match['kind']} {match['rest']}")
    ]
    is_silent = not ratios and _BONUS_MENTION.search(subject) and not _NOT_EQUITY.search(subject)
    if is_silent or any(new <= 0 or held <= 0 for new, held in ratios):
        return None
    return [ActionTerm(ActionKind.BONUS, held / (held + new)) for new, held in ratios]


def _splits(subject: str) -> list[ActionTerm] | None:
    values = [(Fraction(match[1]), Fraction(match[2])) for match in _SPLIT.finditer(subject)]
    is_silent = not values and _SPLIT_MENTION.search(subject)
    if is_silent or any(before <= 0 or after <= 0 for before, after in values):
        return None
    return [ActionTerm(ActionKind.SPLIT, after / before) for before, after in values]


def _rights(subject: str) -> list[ActionTerm] | None:
    issues = [
        match
        for match in _RIGHTS.finditer(subject)
        if not _NOT_EQUITY.search(f"{match['kind']} {subject[match.end() : match.end() + 30]}")
    ]
    if not issues:
        is_silent = _RIGHTS_MENTION.search(subject) and not _NOT_EQUITY.search(subject)
        return None if is_silent else []
    terms = [_rights_term(match) for match in issues]
    return None if None in terms else [term for term in terms if term is not None]


def _rights_term(match: "re.Match[str]") -> ActionTerm | None:
    new, held = Fraction(match[2]), Fraction(match[3])
    if new <= 0 or held <= 0 or not (match["price"] or match["par"]):
        return None
    return ActionTerm(
        ActionKind.RIGHTS,
        ratio=new / held,
        rupees=float(match["price"] or 0),
        is_premium=bool(match["premium"] or match["par"]),
    )


def _dividends(subject: str) -> list[ActionTerm] | None:
    paid = [match for match in _DIVIDEND.finditer(subject) if not _NOT_EQUITY.search(match["words"])]
    if not paid:
        is_silent = _DIVIDEND_MENTION.search(subject) and not _NOT_EQUITY.search(subject)
        return None if is_silent else []
    if any(match["percent"] for match in paid):
        return None  # of a face value that the purpose does not give
    rupees = sum(float(match[2]) for match in paid)
    return [ActionTerm(ActionKind.DIVIDEND, rupees=rupees)]


def _demergers(subject: str) -> list[ActionTerm]:
    return [ActionTerm(ActionKind.DEMERGER)] if _DEMERGER.search(subject) else []
