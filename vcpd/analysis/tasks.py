"""Worker tasks by reference, their parameters and results: kernels are imported only where a task runs.

The daemon names these functions and never calls them, so it does not hold the kernels. Whoever computes in
its own process takes the functions from their own modules.
"""

from collections.abc import Callable, Sequence
from datetime import date
from typing import TYPE_CHECKING, Self, TypeVar

import msgspec

from vcpd.analysis.thresholds import Thresholds
from vcpd.domain.panel import Panel
from vcpd.domain.record import ReportedSetup, reported_setups
from vcpd.domain.risk import EncodedRiskScore
from vcpd.domain.setups import Base, EncodedSetup, RecordedBases, Setup

if TYPE_CHECKING:
    from vcpd.analysis.risk.parameters import RiskResult, RiskTaskParams
    from vcpd.analysis.risk.scores import RiskScores
    from vcpd.analysis.scans.request import ScanParams
    from vcpd.domain.scans import ScanResult

T = TypeVar("T")


class EarlierEnd(msgspec.Struct, frozen=True):
    """The symbols whose session ends before that of all others, and how much of theirs is over, 0..1."""

    symbols: frozenset[str] = frozenset()
    elapsed_share: float = 1.0


class ScreenParams(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of a screen, the same for the command line, the port and the workers.

    `as_of` None is the panel's last session. States come from a replay of the bars; `recorded`
    bases only add identity and earlier events. `elapsed_share` is how much of a running
    session is over: the volume of a provisional last bar is projected to the close by it. Symbols with an
    earlier end have their own share in `earlier_end`.
    """

    as_of: date | None = None
    thresholds: Thresholds = Thresholds()
    recorded: RecordedBases = RecordedBases()
    elapsed_share: float = 1.0
    earlier_end: EarlierEnd = EarlierEnd()
    own_chain: bool = False

    def elapsed_share_of(self, symbol: str) -> float:
        """How much of the symbol's own session is over, 0..1."""
        return self.earlier_end.elapsed_share if symbol in self.earlier_end.symbols else self.elapsed_share


class ScreenResult(msgspec.Struct, frozen=True):
    """One setup per evaluated row, and the bases that are open or have just ended."""

    setups: list[Setup]
    bases: list[Base]

    def __reduce__(
        self,
    ) -> tuple[Callable[[type["ScreenResult"], bytes], "ScreenResult"], tuple[type["ScreenResult"], bytes]]:
        """Between processes it travels packed: several times cheaper than value by value."""
        return _unpack, (ScreenResult, msgspec.msgpack.encode(self))


class EncodedScreenResult(msgspec.Struct, frozen=True):
    """A worker's results: the encoded setups, and the reported ones for the record.

    Not a `ScreenResult`: a whole market's setups are heavy, and the daemon only stores them. They are encoded
    for the store where they are made, so that the event loop neither decodes nor encodes them.
    """

    verdicts: list[EncodedSetup]
    bases: list[Base]
    reported: list[ReportedSetup] = []

    @classmethod
    def of(cls, judged: ScreenResult, panel: Panel, thresholds: Thresholds) -> Self:
        verdicts = [EncodedSetup.of(setup) for setup in judged.setups]
        return cls(verdicts, judged.bases, reported_setups(panel, judged.setups, thresholds))

    def __reduce__(
        self,
    ) -> tuple[
        Callable[[type["EncodedScreenResult"], bytes], "EncodedScreenResult"],
        tuple[type["EncodedScreenResult"], bytes],
    ]:
        return _unpack, (EncodedScreenResult, msgspec.msgpack.encode(self))


def _unpack(kind: type[T], packed: bytes) -> T:
    return msgspec.msgpack.decode(packed, type=kind)


# ruff: noqa: PLC0415 - the imports inside the functions are this module's purpose

__all__ = [
    "EarlierEnd",
    "EncodedScreenResult",
    "ScreenParams",
    "ScreenResult",
    "evaluate_scan",
    "measure_risk",
    "score_risk",
    "score_risk_encoded",
    "screen_rows",
    "screen_rows_encoded",
    "warm_up",
]


def screen_rows(panel: Panel, rows: range, parameters: ScreenParams) -> ScreenResult:
    """A panel task: see `setups.judge`."""
    from vcpd.analysis import screen

    return screen.screen_rows(panel, rows, parameters)


def screen_rows_encoded(panel: Panel, rows: range, parameters: ScreenParams) -> EncodedScreenResult:
    """A panel task: see `setups.judge`; the setups come written out."""
    return EncodedScreenResult.of(screen_rows(panel, rows, parameters), panel, parameters.thresholds)


def evaluate_scan(panel: Panel, _rows: range, parameters: "ScanParams") -> "ScanResult":
    """A panel task over all rows: see `scans.evaluation`."""
    from vcpd.analysis.scans import evaluation

    return evaluation.evaluate_scan(panel, parameters)


def measure_risk(panel: Panel, rows: range, parameters: "RiskTaskParams") -> "RiskResult":
    """A panel task: see `risk.report`."""
    from vcpd.analysis.risk import report

    return report.measure_risk(panel, rows, parameters)


def score_risk(blocks: Sequence["RiskResult"], parameters: "RiskTaskParams") -> "RiskScores":
    """See `risk.scores`."""
    from vcpd.analysis.risk import scores

    return scores.score_risk(blocks, parameters)


def score_risk_encoded(
    blocks: Sequence["RiskResult"], parameters: "RiskTaskParams"
) -> list[EncodedRiskScore]:
    """See `risk.scores`; the scores come written out."""
    return [EncodedRiskScore.of(score) for score in score_risk(blocks, parameters)]


def warm_up() -> None:
    """Import what the tasks need, so that the first of them begins at once."""
    from vcpd.analysis import screen  # noqa: F401 - as above
    from vcpd.analysis.risk import report, scores  # noqa: F401
