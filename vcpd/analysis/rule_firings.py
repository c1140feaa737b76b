"""Sell rules that begin to fire, session by session."""

from collections.abc import Iterator
from datetime import date

import numpy as np

from vcpd.analysis.position_judgement import LotHistory, Position
from vcpd.analysis.rule_columns import firing_columns
from vcpd.analysis.sell_rules import RuleReading
from vcpd.domain.bars import ONE_DAY


def first_firings(
    history: LotHistory, after: date, latest: Position | None = None
) -> list[tuple[Position, RuleReading]]:
    """Each rule that fires at a session later than `after` and did not at the session before.

    Given with the position as it stood after that session. `latest` is the position after the last one, where
    it is known already.
    """
    last = len(history.series) - 1
    first = history.series.row_of(after + ONE_DAY)
    if latest is not None and first >= last:
        return _new_firings(history, latest) if first == last else []
    fired: list[tuple[Position, RuleReading]] = []
    for row, names in firing_starts(history):
        found = history.position(row) if row >= first else None
        if found is not None:
            fired += [(found, rule) for rule in found.firing if rule.name in names]
    return fired


def firing_starts(history: LotHistory) -> Iterator[tuple[int, list[str]]]:
    """Yields each row since the purchase at which rules fire that did not at the row before, and their names.

    Names are in the order of the rules.
    """
    columns = firing_columns(history)
    if not columns:
        return
    fires = np.array(list(columns.values()))
    starts = fires.copy()
    starts[:, 1:] &= ~fires[:, :-1]
    names = list(columns)
    for at in np.flatnonzero(starts.any(axis=0)).tolist():
        yield history.first + at, [names[rule] for rule in np.flatnonzero(starts[:, at])]


def _new_firings(history: LotHistory, latest: Position) -> list[tuple[Position, RuleReading]]:
    """The rules that fire after the last session and did not after the one before."""
    firing = latest.firing
    if not firing:
        return []
    columns = firing_columns(history, [rule.name for rule in firing])
    return [(latest, rule) for rule in firing if not columns[rule.name][-2:-1].any()]
