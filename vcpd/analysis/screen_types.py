"""Parameters and results of a screen; light enough for the daemon, without the compiler."""

from collections.abc import Callable, Iterable
from datetime import date
from itertools import groupby
from operator import attrgetter
from typing import Self, TypeVar

import msgspec

from vcpd.analysis.thresholds import Thresholds
from vcpd.domain.panel import Panel
from vcpd.domain.record import ReportedSetup, reported_setups
from vcpd.domain.setups import Base, EncodedSetup, Setup

T = TypeVar("T")


class RecordedBases(msgspec.Struct, frozen=True):
    """The recorded bases by symbol, packed: each piece of a screen carries all and unpacks its own few."""

    packed: dict[str, bytes] = {}

    @classmethod
    def of(cls, bases: Iterable[Base]) -> Self:
        by_symbol = groupby(sorted(bases, key=attrgetter("symbol")), attrgetter("symbol"))
        return cls({symbol: msgspec.msgpack.encode(tuple(own)) for symbol, own in by_symbol})

    def for_symbol(self, symbol: str) -> tuple[Base, ...]:
        packed = self.packed.get(symbol)
        return () if packed is None else _bases_decoder.decode(packed)


_bases_decoder = msgspec.msgpack.Decoder(tuple[Base, ...])


class ScreenParams(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of a screen, the same for the command line, the port and the workers.

    `as_of` None is the panel's last session. States come from a replay of the bars; `recorded`
    bases only add identity and earlier events. `elapsed_share` is how much of a running
    session is over: the volume of a provisional last bar is projected to the close by it.
    """

    as_of: date | None = None
    thresholds: Thresholds = Thresholds()
    recorded: RecordedBases = RecordedBases()
    elapsed_share: float = 1.0
    own_chain: bool = False


class ScreenResult(msgspec.Struct, frozen=True):
    """One setup per judged row, and the bases that are alive or have just ended."""

    setups: list[Setup]
    bases: list[Base]

    def __reduce__(
        self,
    ) -> tuple[Callable[[type["ScreenResult"], bytes], "ScreenResult"], tuple[type["ScreenResult"], bytes]]:
        """Between processes it travels packed: several times cheaper than value by value."""
        return _unpack, (ScreenResult, msgspec.msgpack.encode(self))


class EncodedScreenResult(msgspec.Struct, frozen=True):
    """What was judged, as it leaves a worker: the setups written out, and what goes into the record."""

    verdicts: list[EncodedSetup]
    bases: list[Base]
    reported: list[ReportedSetup] = []

    @classmethod
    def of(cls, judged: ScreenResult, panel: Panel, thresholds: Thresholds) -> Self:
        verdicts = [EncodedSetup.of(setup) for setup in judged.setups]
        return cls(verdicts, judged.bases, reported_setups(panel, judged.setups, thresholds))

    def __reduce__(
        self,
    ) -> tuple[
        Callable[[type["EncodedScreenResult"], bytes], "EncodedScreenResult"],
        tuple[type["EncodedScreenResult"], bytes],
    ]:
        return _unpack, (EncodedScreenResult, msgspec.msgpack.encode(self))


def _unpack(kind: type[T], packed: bytes) -> T:
    return msgspec.msgpack.decode(packed, type=kind)
