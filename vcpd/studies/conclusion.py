"""What a user may and may not conclude from a study: two plain sentences made from its intervals."""

from collections.abc import Sequence
from typing import Final

from vcpd.studies.figures import CellFigures
from vcpd.studies.placebo import PlaceboKind
from vcpd.studies.run import StudyResult
from vcpd.studies.validation import PlaceboDifference, Validation
from vcpd.studies.walk_forward import MeanEstimate

LEAST_DEFLATED: Final = 0.95
MOST_OVERFITTING: Final = 0.5
NO_ESTIMATE: Final = MeanEstimate(trades=0, mean_r=None, low_r=None, high_r=None)


def conclusions(result: StudyResult, validation: Validation, interval_pct: float) -> tuple[str, str]:
    """States what may be concluded, and what may not."""
    best = next((cell for cell in result.cells if cell.number == validation.cell), None)
    if best is None:
        return (
            "No cell has enough trades to be compared.",
            "Nothing may be concluded: ask over a longer span, or for fewer conditions.",
        )
    return _may(best, validation, interval_pct), _may_not(result, best, validation)


def _may(best: CellFigures, validation: Validation, interval_pct: float) -> str:
    """States the result outside of the training, and against placebos."""
    forward = validation.walk_forward
    tested = NO_ESTIMATE if forward is None else forward.tested
    gained = _outcome(tested, ("gained", "lost", "neither clearly gained nor clearly lost"))
    same_session = _same_session(validation.placebos)
    against = _outcome(same_session, ("better", "worse", "not distinguishably better or worse"))
    return (
        f"Whoever had followed the best cell of the past {gained} after costs on the months that followed "
        f"({_interval(tested, interval_pct)}), and the trades of cell {best.number} were {against} before "
        f"costs than random purchases of the same sessions ({_interval(same_session, interval_pct)})."
    )


def _same_session(placebos: Sequence[PlaceboDifference]) -> MeanEstimate:
    found = (entry.difference for entry in placebos if entry.kind is PlaceboKind.SAME_SESSION)
    return next(found, NO_ESTIMATE)


def _outcome(estimate: MeanEstimate, words: tuple[str, str, str]) -> str:
    """Returns the first word for an interval above zero, the second for one below, else the third."""
    above, below, neither = words
    return above if estimate.is_above_zero else below if estimate.is_below_zero else neither


def _interval(estimate: MeanEstimate, interval_pct: float) -> str:
    if estimate.low_r is None or estimate.high_r is None:
        return "too few months for an interval"
    return (
        f"{estimate.low_r:+.2f} to {estimate.high_r:+.2f} R, {interval_pct:g} %, {estimate.trades:,} trades"
    )


def _may_not(result: StudyResult, best: CellFigures, validation: Validation) -> str:
    """States every reason why the best cell's own figures are too good."""
    reasons = [f"it is the best of {validation.trials:,} cells that were tried"]
    if validation.deflated_sharpe is not None and validation.deflated_sharpe < LEAST_DEFLATED:
        reasons.append(
            f"its deflated Sharpe ratio is {validation.deflated_sharpe:.2f}, below {LEAST_DEFLATED}"
        )
    probability = validation.overfitting_probability
    if probability is not None and probability >= MOST_OVERFITTING:
        reasons.append(f"the probability of overfitting is {100 * probability:.0f} %")
    if result.universe.has_survivors_only:
        reasons.append("the file holds survivors only")
    if validation.sealed is None and result.sealed_from is not None:
        reasons.append(f"the months from {result.sealed_from} on are still sealed")
    mean = "" if best.mean_after_r is None else f" of {best.mean_after_r:+.2f} R a trade"
    return f"The result{mean} of cell {best.number} must not be expected again: {'; '.join(reasons)}."
