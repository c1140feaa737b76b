"""How pressed the machine is, as the scheduler wants to know before it starts something heavy."""

import msgspec


class Pressure(msgspec.Struct, frozen=True):
    """A reading of the whole machine."""

    memory_used_pct: float = 0.0
    cpu_load_per_core: float = 0.0  # runnable tasks per core, one-minute mean
