"""vcpd: daily bars, Volatility Contraction Patterns and risk scores; `vcpd.api` is the public Python API."""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"
API = ("chart", "explain", "history", "open_store", "risk", "screen", "simulated_bars", "sizing", "study")


def __getattr__(name: str) -> Any:
    """A function of the public API, imported at its first use: commands and workers never pay for it."""
    if name in API:
        return getattr(import_module("vcpd.api"), name)
    raise AttributeError(f"module 'vcpd' has no attribute {name!r}")
