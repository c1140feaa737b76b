"""The quick market of the daemons under test: few symbols, two years, hardly any limit of requests."""

import json
from collections.abc import Mapping
from datetime import date
from typing import Final

Section = Mapping[str, object]
QUICK_LIMITS: Final[Mapping[str, Section]] = {
    "limits": {"quote_per_s": 200, "historical_per_s": 200, "other_per_s": 200, "all_gets_per_s": 400},
    "schedule": {"max_load_per_core": 1000, "max_memory_pct": 100},
    "collect": {"history_years": 2},
}
SIMULATED: Final[Mapping[str, Section]] = {
    "sandbox": {"symbols": 24, "years": 2},
    "sandbox.limits": {
        "quote_per_s": 1000,
        "historical_per_s": 1000,
        "other_per_s": 1000,
        "all_gets_per_s": 1000,
    },
}
FILES_ALONE: Final[Section] = {"symbols": None, "years": None}  # with `bars`: nothing is simulated
ONE_WORKER: Final[Mapping[str, Section]] = {"workers": {"count": 1}}


def quick_market(changes: Mapping[str, Section] | None = None) -> str:
    """TOML of the quick market; each section of `changes` is laid over the market's section of that name.

    A value of None removes the key.
    """
    return _settings({**SIMULATED, **QUICK_LIMITS}, changes or {})


def quick_limits(changes: Mapping[str, Section] | None = None) -> str:
    """The same without the simulated market, for a daemon whose exchange runs elsewhere."""
    return _settings(QUICK_LIMITS, changes or {})


def without_jobs(*names: str) -> str:
    """TOML that switches the jobs off."""
    return "".join(f"[jobs.{name}]\nenabled = false\n" for name in names)


def _settings(market: Mapping[str, Section], changes: Mapping[str, Section]) -> str:
    sections = []
    for name in [*market, *(name for name in changes if name not in market)]:
        values = {**market.get(name, {}), **changes.get(name, {})}
        lines = (f"{key} = {_toml(value)}\n" for key, value in values.items() if value is not None)
        sections.append(f"[{name}]\n{''.join(lines)}")
    return "\n" + "".join(sections)


def _toml(value: object) -> str:
    match value:
        case Mapping():
            parts = (f"{json.dumps(key)} = {_toml(part)}" for key, part in value.items())
            return f"{{ {', '.join(parts)} }}"
        case list():
            return f"[{', '.join(map(_toml, value))}]"
        case date():
            return value.isoformat()
    return json.dumps(value)


QUICK_MARKET: Final = quick_market()
IDLE: Final = without_jobs(
    "collect", "instruments", "reconcile", "regime", "screen", "screen_intraday", "risk"
)
