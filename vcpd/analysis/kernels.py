"""Numba decorators: compiled once, cached on disk, free of the GIL; one of them with fastmath."""

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FunctionType
from typing import Any, Final, TypeVar, cast

from vcpd.analysis.thresholds import is_at_most
from vcpd.domain.bars import FloatArray


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
    from numba.core import caching, event, types
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


_OWN_TYPES: Final = frozenset({"kernels.py", "thresholds.py", "gates.py", "contractions.py"})
FASTMATH_FLAGS: Final = {"reassoc", "contract"}  # NaN and infinity keep their meaning


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


KERNEL_FOLDER: Final = _cache_folder()


class _ContentLocator(caching._CacheLocator):  # noqa: SLF001 - numba documents it under this name only
    """Finds a compiled kernel by what the sources say, wherever they lie and whenever they were written.

    So a new checkout, an upgrade that changes no kernel, daemon and commands compile nothing again.
    """

    def __init__(self, line: int) -> None:
        self._line = line

    @classmethod
    def from_function(cls, py_func: FunctionType, py_file: str) -> "_ContentLocator | None":
        is_own = Path(py_file).is_relative_to(Path(__file__).parent)
        return cls(py_func.__code__.co_firstlineno) if is_own else None

    def get_cache_path(self) -> str:
        return str(KERNEL_FOLDER)

    def get_source_stamp(self) -> str:
        return KERNEL_FOLDER.name

    def get_disambiguator(self) -> str:
        return str(self._line)


_locators: list[Any] = caching.CacheImpl._locator_classes  # noqa: SLF001 - as above
_locators.insert(0, _ContentLocator)


class _FirstCompilation(event.Listener):
    """Calls a function when a kernel is compiled for the first time in this process."""

    def __init__(self, announce: Callable[[], None]) -> None:
        self._announce: Callable[[], None] | None = announce

    def on_start(self, _event: event.Event) -> None:
        announce, self._announce = self._announce, None
        if announce is not None:
            announce()

    def on_end(self, _event: event.Event) -> None:
        """Nothing to do."""


def on_first_compilation(announce: Callable[[], None]) -> None:
    """Call `announce` before this process compiles a kernel; never where all are found compiled."""
    register: Any = event.register
    register("numba:compile", _FirstCompilation(announce))


def _compiled(**options: Any) -> Callable[[F], F]:
    def compile_on_first_call(function: F) -> F:
        dispatcher = numba.njit(error_model="numpy", nogil=True, **options)(function)
        if dispatcher is not function:  # it is where NUMBA_DISABLE_JIT lets kernels run as plain Python
            _compile_once_for_all_literals(dispatcher)
            if options.get("cache"):
                dispatcher._cache = _TolerantCache(function)  # type: ignore[no-untyped-call]  # noqa: SLF001
        return cast("F", dispatcher)

    return compile_on_first_call


def _compile_once_for_all_literals(dispatcher: Any) -> None:
    """Else a kernel that other kernels call with 50, with 150 and with a variable is compiled three times."""
    resolve = dispatcher.get_call_template
    unliteral: Any = types.unliteral

    def resolve_without_literals(args: tuple[Any, ...], kws: dict[str, Any]) -> Any:
        plain = {name: unliteral(kind) for name, kind in kws.items()}
        return resolve(tuple(unliteral(kind) for kind in args), plain)

    dispatcher.get_call_template = resolve_without_literals


# For one that makes no array of its own and need not count who holds those it is lent: counting them at each
# step took more than half of the search. The option is undocumented: without it they are slower, not wrong.
_NO_REFCOUNT: Final[dict[str, Any]] = {"_nrt": False} if hasattr(CPUTargetOptions, "_nrt") else {}
kernel = _compiled(cache=True)
fastmath_kernel = _compiled(cache=True, fastmath=FASTMATH_FLAGS)
uncounted_kernel = _compiled(cache=True, **_NO_REFCOUNT)
# Small parts of a kernel, inlined by the optimiser: to inline them earlier, on the compiler's own
# representation, took seven times as long to compile.
inline_kernel = _compiled(forceinline=True, **_NO_REFCOUNT)
is_at_most_kernel = kernel(is_at_most)


@kernel
def highest(values: FloatArray) -> float:
    """The highest of n >= 1 numbers, as np.max gives it, which takes five times as long to compile."""
    found: float = values[0]
    for value in values:
        found = max(found, value)
    return found


@kernel
def lowest(values: FloatArray) -> float:
    """The lowest of n >= 1 numbers."""
    found: float = values[0]
    for value in values:
        found = min(found, value)
    return found


@kernel
def total_of(values: FloatArray) -> float:
    """The sum from the first number to the last, in this order."""
    found = 0.0
    for value in values:
        found += value
    return found
