"""The whole judgement on one symbol's bars: rows kept apart, doubts about what remains."""

from dataclasses import dataclass

from vcpd.domain.bars import BarSeries
from vcpd.domain.quality import Flag, QuarantinedBar
from vcpd.domain.quality_flags import DEFAULTS, QualityParameters, flag_series
from vcpd.domain.quality_rules import ANY_DAY, Sessions, check_rows


@dataclass(frozen=True, slots=True, eq=False)
class Checked:
    """Bars that may enter the store, rows kept apart, doubts, and equal copies that were dropped."""

    accepted: BarSeries
    quarantined: tuple[QuarantinedBar, ...]
    flags: tuple[Flag, ...]
    copies: int = 0


def check(
    series: BarSeries,
    *,
    sessions: Sessions = ANY_DAY,
    parameters: QualityParameters = DEFAULTS,
    is_index: bool = False,
) -> Checked:
    """Judge rows first, then the history that the sound rows make."""
    rows = check_rows(series, sessions)
    flags = flag_series(rows.accepted, parameters, days=sessions.days, is_index=is_index)
    return Checked(rows.accepted, rows.quarantined, flags, rows.copies)
