"""Settings of an analysis: for bars of files the defaults, unless --config is given.

So the result for a file does not depend on the current directory. Each section is imported where it is read:
an analysis reads a few of some thirty, and importing them all takes longer than reading recent bars.
"""

import argparse
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from vcpd.analysis.regime_settings import RegimeSettings
    from vcpd.analysis.risk.parameters import RiskParameters
    from vcpd.analysis.sizing_parameters import SizingParameters
    from vcpd.analysis.thresholds import Thresholds
    from vcpd.domain.calendar import TradingCalendar
    from vcpd.domain.exchange import Exchange
    from vcpd.domain.quality_flags import QualityParameters
    from vcpd.jobs.settings import UniverseSettings


class AnalysisSettings(Protocol):
    """The sections that an analysis of bars reads; a `Configuration` has them all."""

    @property
    def screen(self) -> "Thresholds": ...

    @property
    def quality(self) -> "QualityParameters": ...

    @property
    def universe(self) -> "UniverseSettings": ...

    @property
    def regime(self) -> "RegimeSettings": ...

    @property
    def risk(self) -> "RiskParameters": ...

    @property
    def size(self) -> "SizingParameters": ...

    @property
    def exchange(self) -> "Exchange": ...

    @property
    def calendar(self) -> "TradingCalendar": ...


class DefaultAnalysisSettings:
    """The defaults, those of a `Configuration` without a file: the exchange is NSE."""

    @property
    def screen(self) -> "Thresholds":
        from vcpd.analysis.thresholds import Thresholds

        return Thresholds()

    @property
    def quality(self) -> "QualityParameters":
        from vcpd.domain.quality_flags import DEFAULT_PARAMETERS

        return DEFAULT_PARAMETERS

    @property
    def universe(self) -> "UniverseSettings":
        from vcpd.jobs.settings import UniverseSettings

        return UniverseSettings()

    @property
    def regime(self) -> "RegimeSettings":
        from vcpd.analysis.regime_settings import RegimeSettings

        return RegimeSettings()

    @property
    def risk(self) -> "RiskParameters":
        from vcpd.analysis.risk.parameters import RiskParameters

        return RiskParameters()

    @property
    def size(self) -> "SizingParameters":
        from vcpd.analysis.sizing_parameters import SizingParameters

        return SizingParameters()

    @property
    def exchange(self) -> "Exchange":
        from vcpd.domain.exchange import NSE_EXCHANGE

        return NSE_EXCHANGE

    @property
    def calendar(self) -> "TradingCalendar":
        return self.exchange.calendar


def analysis_settings(arguments: argparse.Namespace) -> AnalysisSettings:
    """The settings of --config, or the defaults. Raises ConfigurationError for a bad file."""
    if arguments.bars is not None and arguments.config is None:
        return DefaultAnalysisSettings()
    from vcpd.cli.config import load_or_default

    return load_or_default(arguments)
