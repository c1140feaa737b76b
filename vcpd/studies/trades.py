"""Tables of simulated trades: packed columns, as they travel from workers and wait in memory.

A study holds millions of trades: 25 bytes each, so that a thousand cells of a whole market stay below 600 MB.
"""

from collections.abc import Sequence
from typing import Any, Final, Self

import msgspec
import numpy as np

from vcpd.domain.bars import BoolArray, FloatArray, IntArray

FORMATS: Final = {
    "row": "<i4",
    "entry_column": "<i4",
    "exit_column": "<i4",
    "risk_share": "<f4",
    "result_r": "<f4",
    "better_r": "<f4",
    "ambiguous": "|b1",
}


class TradeTable(msgspec.Struct, frozen=True):
    """n trades, each column packed; rows and columns are those of the panel, results R before costs."""

    row: bytes = b""
    entry_column: bytes = b""
    exit_column: bytes = b""
    risk_share: bytes = b""  # entry less stop, over the entry
    result_r: bytes = b""  # the worse order of prices inside a bar
    better_r: bytes = b""  # the better order
    ambiguous: bytes = b""

    @classmethod
    def of(cls, **columns: Any) -> Self:
        """Packs the named columns, arrays of n."""
        return cls(**{name: columns[name].astype(kind).tobytes() for name, kind in FORMATS.items()})

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Concatenates the parts in their order."""
        return cls(*(b"".join(getattr(part, name) for part in parts) for name in FORMATS))

    def __len__(self) -> int:
        return len(self.ambiguous)

    def _column(self, name: str) -> Any:
        return np.frombuffer(getattr(self, name), FORMATS[name])

    @property
    def rows(self) -> IntArray:
        """(n,): the row of the symbol."""
        rows: IntArray = self._column("row").astype(np.int64)
        return rows

    @property
    def entries(self) -> IntArray:
        """(n,): the column of the session of the purchase."""
        entries: IntArray = self._column("entry_column").astype(np.int64)
        return entries

    @property
    def exits(self) -> IntArray:
        """(n,): the column of the session of the last sale."""
        exits: IntArray = self._column("exit_column").astype(np.int64)
        return exits

    @property
    def risks(self) -> FloatArray:
        """(n,): what a purchase risks as a fraction of its price."""
        risks: FloatArray = self._column("risk_share").astype(np.float64)
        return risks

    @property
    def results_r(self) -> FloatArray:
        """(n,): results before costs, the worse order of prices inside a bar."""
        results: FloatArray = self._column("result_r").astype(np.float64)
        return results

    @property
    def better_results_r(self) -> FloatArray:
        """(n,): the same under the better order."""
        results: FloatArray = self._column("better_r").astype(np.float64)
        return results

    @property
    def is_ambiguous(self) -> BoolArray:
        """(n,): where the order of prices inside a bar decides the result."""
        ambiguous: BoolArray = self._column("ambiguous")
        return ambiguous

    def first_entries(self, overlap_sessions: int) -> IntArray:
        """(n,): the column of the first of the purchases that overlap, of one that does not its own.

        Two of a symbol overlap where the later is made at most `overlap_sessions` after the earlier, and so
        do all that others connect.
        """
        order = np.lexsort((self.entries, self.rows))
        rows, entries = self.rows[order], self.entries[order]
        follows = (np.diff(rows) == 0) & (np.diff(entries) <= overlap_sessions)
        is_first = np.concatenate([np.ones(min(len(rows), 1), np.bool_), ~follows])
        firsts = np.empty_like(entries)
        firsts[order] = entries[np.maximum.accumulate(np.where(is_first, np.arange(len(rows)), 0))]
        return firsts

    def where(self, kept: BoolArray) -> Self:
        """Returns only the trades marked in `kept` (n,)."""
        return type(self)(*(self._column(name)[kept].tobytes() for name in FORMATS))
