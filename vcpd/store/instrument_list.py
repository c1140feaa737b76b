"""What a day's list of the exchange means for the instruments that are followed: pure comparison."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from vcpd.domain.instruments import Instrument, InstrumentChanges, StoredInstrument

# Series between which a share moves; a bond, a warrant or a partly paid share only bears its company's name.
SERIES_SUFFIX: Final = re.compile(r"-(?:BE|BZ|SM|ST|SZ)$")


@dataclass(frozen=True, slots=True)
class ListPlan:
    """What to write: `renames` are (id, old symbol, new symbol); `current` is the day's list, each once."""

    changes: InstrumentChanges
    renames: tuple[tuple[int, str, str], ...]
    current: tuple[Instrument, ...]


def plan_merge(stored: Sequence[StoredInstrument], listed: Sequence[Instrument]) -> ListPlan:
    """Compare a whole list with what is stored.

    A symbol that vanished in this very list and a new one are the same instrument when they share the token
    (a rename), or else the symbol up to its series suffix (`NSE:X` and `NSE:X-BE`, a move between series).
    """
    today = {instrument.symbol: instrument for instrument in listed}
    known = {one.symbol: one for one in stored}
    vanished = {one.symbol: one for one in stored if one.listed and one.symbol not in today}
    new = {symbol: instrument for symbol, instrument in today.items() if symbol not in known}
    renames = tuple(_renames(vanished, new))
    old_names, new_names = {old for _, old, _ in renames}, {name for _, _, name in renames}
    changes = InstrumentChanges(
        added=tuple(sorted(new.keys() - new_names)),
        gone=tuple(sorted(vanished.keys() - old_names)),
        renamed=tuple(sorted((old, name) for _, old, name in renames)),
        token_changed=tuple(sorted(_token_changed(known, today, renames))),
    )
    return ListPlan(changes, renames, tuple(today.values()))


def _renames(
    vanished: Mapping[str, StoredInstrument], new: Mapping[str, Instrument]
) -> Iterator[tuple[int, str, str]]:
    """Each vanished symbol with its successor; a token decides before a name does."""
    by_token = {instrument.token: symbol for symbol, instrument in new.items()}
    by_stem = {_stem(symbol): symbol for symbol in new}
    same_token = {old: by_token.get(one.instrument.token) for old, one in vanished.items()}
    same_stem = {old: by_stem.get(_stem(old)) for old in vanished}
    found: dict[str, str] = {}
    for successors in (same_token, same_stem):
        for old, successor in successors.items():
            if successor is not None and old not in found and successor not in found.values():
                found[old] = successor
    return ((vanished[old].id, old, successor) for old, successor in found.items())


def _stem(symbol: str) -> str:
    """The symbol without the suffix of a share's series: `NSE:CENTRALBK-BE` is `NSE:CENTRALBK`."""
    return SERIES_SUFFIX.sub("", symbol)


def _token_changed(
    known: Mapping[str, StoredInstrument],
    today: Mapping[str, Instrument],
    renames: Sequence[tuple[int, str, str]],
) -> Iterator[str]:
    """The symbols, as they are now, whose token is not the one that is stored."""
    before = {symbol: one for symbol, one in known.items() if symbol in today}
    before |= {new: known[old] for _, old, new in renames}
    return (symbol for symbol, one in before.items() if one.instrument.token != today[symbol].token)
