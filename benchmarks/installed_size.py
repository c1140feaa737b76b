"""What a run-time installation takes on disk, by package: `python -m benchmarks.installed_size`.

Sums the installed files, compiled Python included, of the distributions that pyproject.toml names as
dependencies, and of those that they need in turn; extras and development tools are left out.
"""

import argparse
import importlib.metadata
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement

PROJECT: Final = Path(__file__).resolve().parents[1]
TARGET_MB: Final = 400.0
MEGABYTE: Final = 1 << 20


def needed(requirement: Requirement, seen: set[str]) -> Iterator[importlib.metadata.Distribution]:
    """The distribution and all that it needs on this machine, each once."""
    name = re.sub(r"[-_.]+", "-", requirement.name).lower()
    if name in seen or not (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
        return
    seen.add(name)
    found = importlib.metadata.distribution(name)
    yield found
    for line in found.requires or ():
        yield from needed(Requirement(line), seen)


def size_mb(found: importlib.metadata.Distribution) -> float:
    """MB of its files that are there."""
    paths = (Path(str(file.locate())) for file in found.files or ())
    return sum(path.stat().st_size for path in paths if path.is_file()) / MEGABYTE


def own_size_mb() -> float:
    """MB of vcpd itself as an installation has it."""
    files = (PROJECT / "vcpd").rglob("*")
    return sum(path.stat().st_size for path in files if path.is_file()) / MEGABYTE


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--least", type=float, default=2.0, help="MB from which a package has its own line")
    given = parser.parse_args(arguments)
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    seen: set[str] = set()
    sizes = {"vcpd": own_size_mb()}
    for line in project["dependencies"]:
        sizes |= {found.name: size_mb(found) for found in needed(Requirement(line), seen)}
    for name, size in sorted(sizes.items(), key=lambda entry: -entry[1]):
        if size >= given.least:
            print(f"{size:8.1f} MB  {name}")
    print(f"{sum(sizes.values()):8.1f} MB  all {len(sizes)} packages (target {TARGET_MB:g})")


if __name__ == "__main__":
    main()
