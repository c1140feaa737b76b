"""What a study finds on the frozen markets of the truth tests, seed by seed.

    python -m benchmarks.study_truth [--out FILE]

Prints how many of the seeds each of the three tests counts, beside what is accepted. `--out` takes one line
of JSON for each seed, as soon as it is known.
"""

import argparse
from contextlib import nullcontext
from pathlib import Path

import msgspec

from tests.study.frozen import FROZEN
from tests.study.truth import best_of_200_cells, difference_from_placebo
from vcpd.studies.walk_forward import MeanEstimate

GOOD = 0.95


class SeedResult(msgspec.Struct, frozen=True):
    """One market without drift and with the planted one, and the best of 200 cells without."""

    seed: int
    without_drift: MeanEstimate
    with_drift: MeanEstimate
    deflated_sharpe: float | None


def result_of(seed: int) -> SeedResult:
    return SeedResult(
        seed,
        difference_from_placebo(seed, 0.0),
        difference_from_placebo(seed, FROZEN.market.drift),
        best_of_200_cells(seed).deflated_sharpe,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    path = parser.parse_args().out
    found: list[SeedResult] = []
    with nullcontext() if path is None else path.open("wb") as file:
        for seed in FROZEN.seeds.all:
            found.append(result_of(seed))
            if file is not None:
                file.write(msgspec.json.encode(found[-1]) + b"\n")
                file.flush()
    _print(found)


def _print(found: list[SeedResult]) -> None:
    accepted, total = FROZEN.accepted, len(found)
    above = sum(result.without_drift.is_above_zero for result in found)
    below = sum(result.without_drift.is_below_zero for result in found)
    planted = sum(result.with_drift.is_above_zero for result in found)
    good = sum((result.deflated_sharpe or 0.0) > GOOD for result in found)
    bounds = f"{accepted.least_null_exclusions} to {accepted.most_null_exclusions}"
    print(f"without drift, interval excludes zero: {above + below} of {total} ({bounds}), {above} above")
    print(f"best of 200 cells above {GOOD}: {good} of {total} (at most {accepted.most_deflated_above})")
    print(f"planted drift found: {planted} of {total} (at least {accepted.least_drift_found})")


if __name__ == "__main__":
    main()
