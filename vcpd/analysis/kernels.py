"""How a function becomes a kernel: compiled once, cached on disk, free of the interpreter's lock."""

from collections.abc import Callable
from typing import Final, TypeVar, cast

from numba import njit

F = TypeVar("F", bound=Callable[..., object])

# The same relative tolerance wherever two averages are compared: flat prices must tie, not round.
TIE: Final = 1e-9

kernel = cast("Callable[[F], F]", njit(cache=True, nogil=True, error_model="numpy"))
