"""A session's closing bars in the form of quotes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from math import prod
from typing import Final

import numpy as np

from vcpd.bhavcopy.action_lists import Actions
from vcpd.bhavcopy.history import INDEX_MARK, History
from vcpd.bhavcopy.identity import token_of
from vcpd.bhavcopy.layouts import SHARE_SERIES
from vcpd.domain.instruments import Quote

EXCHANGE: Final = "NSE"


@dataclass(frozen=True, slots=True)
class QuoteDesk:
    """Answers for the session that closed at `closed`, the exchange's local time.

    On the morning of an ex-date the history is already adjusted, and so is what is quoted of the day before.
    """

    history: History
    closed: datetime
    actions: Actions
    today: date

    def quotes(self, symbols: Sequence[str]) -> dict[str, Quote]:
        """Quotes by symbol; absent where nothing was traded."""
        found = ((symbol, self._quote(symbol)) for symbol in dict.fromkeys(symbols))
        return {symbol: quote for symbol, quote in found if quote is not None}

    def _quote(self, symbol: str) -> Quote | None:
        key = self._key_of(symbol)
        rows = self.history.rows(key)
        session = self.closed.date()
        at = int(np.searchsorted(rows["session"], np.datetime64(session, "D")))
        if at == len(rows) or rows["session"][at].item() != session:
            return None
        row, scale = rows[at], self._scale(key)
        return Quote(
            symbol=symbol,
            token=token_of(self.history.identities.isin_of(key), key),
            at=f"{self.closed:%Y-%m-%d %H:%M:%S}",
            last_price=float(row["close"]) * scale,
            open=float(row["open"]) * scale,
            high=float(row["high"]) * scale,
            low=float(row["low"]) * scale,
            previous_close=float(row["previous_close"]) * scale,
            volume=float(row["volume"]) / scale,
        )

    def _scale(self, key: str) -> float:
        """What actions since the close multiply its prices by."""
        listed = self.actions.get(key, ())
        return prod(one.factor for one in listed if self.closed.date() < one.ex_date <= self.today)

    def _key_of(self, symbol: str) -> str:
        """The history's name for a quoted one: a share, a share of another series, or an index."""
        exchange, _, name = symbol.partition(":")
        if exchange != EXCHANGE:
            return ""
        stem, _, series = name.rpartition("-")
        candidates = (name, stem if series in SHARE_SERIES else "", f"{INDEX_MARK}{name}")
        return next((key for key in candidates if key in self.history), "")
