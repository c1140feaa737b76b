"""Splits: when a name's price has grown dear, its shares are divided."""

from typing import Final, NamedTuple

import numpy as np

from vcpd.domain.arrays import BoolArray, FloatArray

DEAR: Final = ((9000.0, 10), (4000.0, 5), (1500.0, 2))  # at this price or more, so many for one
REST_SESSIONS: Final = 250


class Split(NamedTuple):
    """From session number `ex` on, one old share is `ratio` new ones."""

    ex: int
    ratio: int


def splits_of(close: FloatArray, may_split: BoolArray) -> tuple[Split, ...]:
    """A name's splits in order; `close` (m,) as if never split, decided by the close of the eve."""
    splits: list[Split] = []
    divided = 1
    for ex in (np.flatnonzero(may_split[1:]) + 1).tolist():
        if splits and ex - splits[-1].ex < REST_SESSIONS:
            continue
        price = float(close[ex - 1]) / divided
        ratio = next((ratio for least, ratio in DEAR if price >= least), 1)
        if ratio > 1:
            splits.append(Split(ex, ratio))
            divided *= ratio
    return tuple(splits)


def divisor(splits: tuple[Split, ...], session_count: int) -> FloatArray:
    """What the never-split price is divided by in each session, shape (m,)."""
    divided = np.ones(session_count)
    for split in splits:
        divided[split.ex :] *= split.ratio
    return divided
