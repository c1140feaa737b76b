"""Kernels that add up: like `@kernel`, and free to add in any order, so that their loops go wide."""

from collections.abc import Callable
from typing import Final, TypeVar, cast

import numba

from vcpd.analysis.kernels import kernel

__all__ = ["kernel", "wide_kernel"]

F = TypeVar("F", bound=Callable[..., object])
ANY_ORDER: Final = {"reassoc", "contract"}  # NaN and infinity keep their meaning

wide_kernel = cast(
    "Callable[[F], F]", numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=ANY_ORDER)
)
