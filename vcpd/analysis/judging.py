"""What a worker is told about a screen, and what it answers: plain values, light enough for the daemon."""

from collections.abc import Callable
from datetime import date

import msgspec

from vcpd.analysis.thresholds import Thresholds
from vcpd.domain.setups import Base, Setup


class Judging(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker is told.

    `as_of` None is the panel's last session. `followed` gives the recorded bases by symbol; None and
    {} both mean that there is no record: states come from a replay of the bars, records only add
    identity and what has happened to it. `elapsed_share` is how much of a running session is over:
    the volume of a provisional last bar is projected to the close by it.
    """

    as_of: date | None = None
    thresholds: Thresholds = Thresholds()
    followed: dict[str, tuple[Base, ...]] | None = None
    elapsed_share: float = 1.0


class Judged(msgspec.Struct, frozen=True):
    """One setup per judged row, and the bases that are alive or have just ended."""

    setups: list[Setup]
    bases: list[Base]

    def __reduce__(self) -> tuple[Callable[[bytes], "Judged"], tuple[bytes]]:
        """Between processes it travels packed: several times cheaper than value by value."""
        return _unpacked, (msgspec.msgpack.encode(self),)


def _unpacked(packed: bytes) -> Judged:
    return msgspec.msgpack.decode(packed, type=Judged)
