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
from tests.study.truth import SeedCounts, SeedResult, result_of
from vcpd.studies.conclusion import LEAST_DEFLATED


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
    _print(SeedCounts.of(found), len(found))


def _print(counts: SeedCounts, total: int) -> None:
    accepted, excluded = FROZEN.accepted, counts.null_above + counts.null_below
    bounds = f"{accepted.least_null_exclusions} to {accepted.most_null_exclusions}"
    print(
        f"without drift, interval excludes zero: {excluded} of {total} ({bounds}), {counts.null_above} above"
    )
    print(
        f"best of 200 cells above {LEAST_DEFLATED}: {counts.deflated_above} of {total} "
        f"(at most {accepted.most_deflated_above})"
    )
    print(f"planted drift found: {counts.drift_found} of {total} (at least {accepted.least_drift_found})")


if __name__ == "__main__":
    main()
