"""Detector, risk metrics and what is measured of markets and positions.

The modules with a .pxd file are compiled when vcpd is installed. Where they are not, in a checkout that was
not built, their sources run as plain Python: the same answers, about 33 times slower, and a warning says so.
"""

import warnings
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from pathlib import Path

_FOLDER = Path(__file__).parent


def compiled_files(types: Path) -> list[Path]:
    """The compiled form, for this Python, of the module whose types stand in the .pxd file `types`."""
    named = [types.with_name(types.stem + suffix) for suffix in EXTENSION_SUFFIXES]
    return [file for file in named if file.exists()]


def kernels_are_compiled() -> bool:
    """Whether the compiled form of every kernel lies beside its source."""
    return all(compiled_files(types) for types in _FOLDER.rglob("*.pxd"))


def _warn_if_interpreted() -> None:
    """Raises ImportError where the sources cannot run as plain Python either."""
    if kernels_are_compiled():
        return
    if find_spec("cython") is None:
        raise ImportError(
            "the kernels of vcpd are not compiled, and without Cython they do not run as plain Python: "
            "run `make kernels`, or install vcpd with pip"
        )
    message = "the kernels of vcpd are not compiled, so all screening is slow: run `make kernels`"
    warnings.warn(message, RuntimeWarning, stacklevel=2)


_warn_if_interpreted()
