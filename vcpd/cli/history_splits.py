"""Outcomes of `vcpd history` by the market's regime and by the sector's rank, with numbers and intervals."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vcpd.analysis.backtest import BacktestParams, BacktestResult
from vcpd.analysis.market_regime import directions_by_day
from vcpd.analysis.outcomes import CountedPurchase, Estimate, OutcomeCounts, split_by_sector, split_by_term
from vcpd.analysis.sector_rotation import sector_ranks
from vcpd.cli.output import number_text, print_table
from vcpd.cli.regime import benchmark_symbol, read_indices, without_indices
from vcpd.cli.sectors import companies_of_panel
from vcpd.config import Configuration
from vcpd.domain.panel import Panel

ESTIMATE_COLUMNS = ("purchases", "mean R", "95 %", "median R")
SETUPS = "setups, own stops"
OutcomeSplits = Mapping[str, Mapping[str, Mapping[str, Estimate]]]


def outcome_splits(
    found: BacktestResult,
    looking: BacktestParams,
    panel: Panel,
    configuration: Configuration,
    arguments: argparse.Namespace,
) -> OutcomeSplits:
    """Splits outcomes by regime where --index is given, by sector rank where --sectors is given."""
    kinds = {
        SETUPS: found.setups,
        "setups": found.setups_same_stop,
        "first close above the 50-day high": found.new_highs,
        "every close": found.universe,
    }
    return split_purchases(
        kinds, {SETUPS: _counted_purchases(found, looking, panel)}, panel, configuration, arguments
    )


def split_purchases(
    kinds: Mapping[str, OutcomeCounts],
    purchases: Mapping[str, Sequence[CountedPurchase]],
    panel: Panel,
    configuration: Configuration,
    arguments: argparse.Namespace,
) -> OutcomeSplits:
    """All `kinds` by the regime, and `purchases`, by name too, by the rank of their sector."""
    splits: dict[str, Mapping[str, Mapping[str, Estimate]]] = {}
    indices = read_indices(arguments) if arguments.index is not None else ()
    shares = without_indices(panel, indices)
    if indices:
        symbol = benchmark_symbol(indices, arguments, configuration.universe.benchmark)
        (series,) = (entry for entry in indices if entry.symbol == symbol)
        directions = directions_by_day(shares, series, configuration.regime)
        terms = {day: direction.term for day, direction in directions.items()}
        splits["regime"] = {
            name: split_by_term(counts, panel.sessions, terms) for name, counts in kinds.items()
        }
    if arguments.sectors:
        companies = companies_of_panel(shares, arguments.sectors, Path(), configuration.exchange)
        sectors = {symbol: company.sector for symbol, company in companies.items()}
        least = configuration.screen.min_rs_universe
        ranks = sector_ranks(shares, sectors, configuration.regime, least_rated=least)
        splits["sector"] = {
            name: split_by_sector(counted, panel.sessions, ranks, sectors)
            for name, counted in purchases.items()
        }
    return splits


def _counted_purchases(found: BacktestResult, looking: BacktestParams, panel: Panel) -> list[CountedPurchase]:
    """The purchases whose horizon the bars cover, stopped before or not; see `outcomes`."""
    last = len(panel.sessions) - 1
    return [
        CountedPurchase(
            base.symbol,
            base.outcome.entry_date,
            base.outcome.result_r - looking.cost_pct / base.outcome.risk_pct,
        )
        for base in found.bases
        if base.outcome is not None
        and np.searchsorted(panel.sessions, np.datetime64(base.outcome.entry_date, "D"))
        + looking.horizon_sessions
        <= last
    ]


def print_splits(splits: OutcomeSplits) -> None:
    """A table for each split: R after costs, by what was known on the evening before the purchase."""
    for name, kinds in splits.items():
        rows = [
            (kind, part.replace("_", " "), *_estimate_texts(result))
            for kind, parts in kinds.items()
            for part, result in parts.items()
        ]
        title = {
            "regime": "by the market's regime on the evening before, R after costs",
            "sector": "by the rank of the sector on the evening before, R after costs",
        }[name]
        print_table(title, ("bought at", name, *ESTIMATE_COLUMNS), rows, ESTIMATE_COLUMNS)


def _estimate_texts(result: Estimate) -> Sequence[Any]:
    interval = "" if result.low_r is None else f"{result.low_r:+.2f} .. {result.high_r:+.2f}"
    return f"{result.purchases:,}", number_text(result.mean_r), interval, number_text(result.median_r)
