"""Numba decorators: compiled once, cached on disk, free of the GIL; one of them with fastmath."""

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from vcpd.analysis.thresholds import is_at_most


@contextmanager
def _blocked_imports(*names: str) -> Iterator[None]:
    """Makes imports of these modules fail meanwhile."""
    modules = cast("dict[str, object]", sys.modules)
    blocked = [name for name in names if name not in modules]
    modules.update(dict.fromkeys(blocked))
    try:
        yield
    finally:
        for name in blocked:
            del modules[name]


# The compiler imports these where it finds them, for matrix products and C functions, which no kernel calls:
# 0.3 s and 15 MB of each process.
with _blocked_imports("scipy", "scipy.linalg", "cffi"):
    import numba
    import numba.core.typing.cffi_utils
    import numba.np.arraymath
    from numba.core.caching import FunctionCache
    from numba.core.cpu import CPUTargetOptions

F = TypeVar("F", bound=Callable[..., object])


class _TolerantCache(FunctionCache):
    """Compiled code on disk. A damaged file or a full disk costs a compilation, never the calculation."""

    def load_overload(self, sig: object, target_context: object) -> object:
        try:
            return super().load_overload(sig, target_context)  # type: ignore[no-untyped-call]
        except Exception:  # noqa: BLE001 - unpickling a damaged file raises anything
            with suppress(OSError):
                self.flush()  # type: ignore[no-untyped-call]
            return None

    def save_overload(self, sig: object, data: object) -> None:
        with suppress(OSError):
            super().save_overload(sig, data)  # type: ignore[no-untyped-call]


def _cached(**options: Any) -> Callable[[F], F]:
    """The decorator that compiles with these options and keeps the result in the cache."""

    def declare(function: F) -> F:
        dispatcher = numba.njit(cache=True, nogil=True, error_model="numpy", **options)(function)
        dispatcher._cache = _TolerantCache(function)  # type: ignore[no-untyped-call]  # noqa: SLF001
        return cast("F", dispatcher)

    return declare


_OWN_TYPES: Final = frozenset({"kernels.py", "thresholds.py", "gates.py", "contractions.py"})
FASTMATH_FLAGS: Final = {"reassoc", "contract"}  # NaN and infinity keep their meaning
fastmath_kernel: Callable[[F], F] = _cached(fastmath=FASTMATH_FLAGS)


def _cache_folder() -> Path:
    """Where compiled kernels are kept, a folder of its own for each state of the sources.

    The compiler's own cache looks at one file at a time: a kernel that calls another file's kernel would
    outlive a change there, and an upgrade would trip over types that are gone.
    """
    here = Path(__file__).parent
    digest = hashlib.sha256()
    for source in sorted(here.rglob("*.py")):
        text = source.read_bytes()
        if source.name in _OWN_TYPES or b"analysis.kernels import" in text:
            digest.update(text)
    return _writable_folder(here) / f"kernels-{digest.hexdigest()[:16]}"


def _writable_folder(here: Path) -> Path:
    """From the environment, else beside the sources, else the user's cache, else a temporary folder."""
    named = os.environ.get("NUMBA_CACHE_DIR") or os.environ.get("CACHE_DIRECTORY")
    candidates = [
        here / "__pycache__",
        Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "vcpd",
    ]
    for folder in [Path(named)] if named else candidates:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    return Path(tempfile.gettempdir()) / f"vcpd-{os.getuid()}"


vars(numba.config)["CACHE_DIR"] = str(_cache_folder())  # read when a kernel is declared, so before any is


kernel: Callable[[F], F] = _cached()


# For one that makes no array of its own and need not count who holds those it is lent: counting them at each
# step took more than half of the search. The option is undocumented: without it they are slower, not wrong.
_NO_REFCOUNT: Final[dict[str, Any]] = {"_nrt": False} if hasattr(CPUTargetOptions, "_nrt") else {}


uncounted_kernel: Callable[[F], F] = _cached(**_NO_REFCOUNT)


# Woven into its callers: handing a dozen arrays to a function costs more than a small one does.
inline_kernel = cast("Callable[[F], F]", numba.njit(inline="always", error_model="numpy"))


is_at_most_kernel = kernel(is_at_most)
