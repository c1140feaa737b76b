"""The frozen part of the truth tests: market, seeds and bounds as `frozen_truth.toml` states them."""

import tomllib
from pathlib import Path
from typing import Final

import msgspec

FILE: Final = Path(__file__).with_name("frozen_truth.toml")


class Market(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many symbols and bars are drawn, and the drift per session that is planted after a breakout.

    Each leader has one planted base. The advance before it meets few placebos, and nothing but the drift
    follows it: `tests/study/planted.py`.
    """

    leaders: int
    walkers: int
    bars: int
    drift: float


class Seeds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Consecutive seeds."""

    first: int
    count: int

    @property
    def all(self) -> range:
        return range(self.first, self.first + self.count)


class Accepted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds of the numbers of seeds, each included."""

    least_null_exclusions: int
    most_null_exclusions: int
    most_deflated_above: int
    least_drift_found: int


class Drawn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the market of one seed is known by."""

    seed: int
    mean_log_close: float
    mean_log_volume: float


class FrozenTruth(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that was fixed before the first run."""

    market: Market
    seeds: Seeds
    accepted: Accepted
    drawn: Drawn


FROZEN: Final = msgspec.convert(tomllib.loads(FILE.read_text()), FrozenTruth)
