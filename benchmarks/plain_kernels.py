"""Imports the compiled modules of vcpd from their sources, for a profiler: it sees no compiled function.

Whoever imports this module first gets plain Python from then on: the same answers, more slowly.
"""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, ModuleSpec, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Final

PACKAGE: Final = "vcpd.analysis."


class SourceFinder(MetaPathFinder):
    """Finds a module that has a .pxd file by its source alone."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The specification of a kernel's source; None for every other module."""
        if not fullname.startswith(PACKAGE):
            return None
        name = fullname.rpartition(".")[2]
        for folder in path or ():
            if Path(folder, f"{name}.pxd").exists():
                return FileFinder(folder, (SourceFileLoader, SOURCE_SUFFIXES)).find_spec(fullname, target)
        return None


sys.meta_path.insert(0, SourceFinder())
