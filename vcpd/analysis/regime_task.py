"""The worker task that gives the market's regimes and sector ranks of an evening, written out for the store.

The daemon names it and never calls it: what it needs is imported where it runs.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from functools import partial
from typing import Self

import msgspec
import numpy as np

from vcpd.analysis.regime_settings import RegimeSettings
from vcpd.domain.bars import BAR_DTYPE, BarSeries
from vcpd.domain.market_regime import EncodedRegime, MarketBreadth
from vcpd.domain.panel import Panel

OSCILLATOR_SESSIONS = 252  # sessions before that the breadth of the next one needs
INDUSTRY_SESSIONS = 30  # of the first run, whose many industries are ranked, too: what is shown of the past


class IndexHistory(msgspec.Struct, frozen=True):
    """An index's bars, packed: the few of an index travel to the worker, those of shares never do."""

    symbol: str
    records: bytes

    @classmethod
    def of(cls, series: BarSeries) -> Self:
        return cls(series.symbol, series.records.tobytes())

    @property
    def series(self) -> BarSeries:
        return BarSeries(self.symbol, np.frombuffer(self.records, BAR_DTYPE))


class RegimeTaskParams(msgspec.Struct, frozen=True, kw_only=True):
    """What a regime is made from beside the panel.

    `after` is the last session that has one: those that follow up to `as_of` are given, all where it is None.
    `earlier` are the stored regimes up to it, oldest first.
    """

    as_of: date
    after: date | None
    settings: RegimeSettings
    benchmark: str
    indices: Sequence[IndexHistory]
    members: Mapping[str, Sequence[str]]
    sectors: Mapping[str, str]
    industries: Mapping[str, str]
    earlier: Sequence[str]
    least_rated: int


class _StoredBreadth(msgspec.Struct, frozen=True):
    """What is read of a stored regime."""

    breadth: MarketBreadth | None = None


def encode_regimes(panel: Panel, _rows: range, parameters: RegimeTaskParams) -> list[EncodedRegime]:
    """A panel task over the whole panel, whatever its rows: the regimes of the sessions asked for."""
    from vcpd.analysis.market_regime import market_regimes  # noqa: PLC0415 - where it runs
    from vcpd.analysis.sector_rotation import sector_ranks  # noqa: PLC0415 - compiles the ratings

    known = panel.until(parameters.as_of)
    n = len(known.sessions)
    if parameters.after is not None:
        n = int(np.count_nonzero(known.sessions > np.datetime64(parameters.after, "D")))
    stored = [msgspec.json.decode(text, type=_StoredBreadth).breadth for text in parameters.earlier]
    regimes = market_regimes(
        known,
        [history.series for history in parameters.indices],
        parameters.settings,
        benchmark=parameters.benchmark,
        n_sessions=n,
        earlier=[of_session for of_session in stored if of_session is not None],
        members=parameters.members,
    )
    rank = partial(
        sector_ranks,
        known,
        parameters.sectors,
        parameters.settings,
        least_rated=parameters.least_rated,
    )
    ranks = rank(n_sessions=n) if n > INDUSTRY_SESSIONS else []
    ranks[-INDUSTRY_SESSIONS:] = rank(n_sessions=min(n, INDUSTRY_SESSIONS), industries=parameters.industries)
    encode = msgspec.json.Encoder().encode
    return [
        EncodedRegime(
            session=regime.session,
            term=regime.term,
            text=encode(regime).decode(),
            sectors=encode(of_session).decode(),
        )
        for regime, of_session in zip(regimes, ranks, strict=True)
    ]
