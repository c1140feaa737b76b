"""What one client of the live feed follows, in which mode, and what it has been told."""

from typing import Annotated, Any, Final

import msgspec
import numpy as np

from vcpd.domain.arrays import BoolArray, FloatArray, IntArray, RecordArray
from vcpd.kite.ticker import MODES, Mode

NEVER: Final = np.nan


_Token = Annotated[int, msgspec.Meta(ge=0, lt=2**32)]


class CommandError(Exception):
    """A text frame that the feed does not obey, with the words for its sender."""


class _Command(msgspec.Struct):
    action: str = msgspec.field(name="a")
    value: Any = msgspec.field(name="v")


class Subscription:
    """Tokens, ascending, each with its mode, and the price and volume that were told last."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.tokens: IntArray = np.empty(0, np.int64)
        self._modes: IntArray = np.empty(0, np.int64)
        self._told: FloatArray = np.empty((0, 2))  # last price and volume
        self._fresh: BoolArray = np.empty(0, np.bool_)

    def __len__(self) -> int:
        return len(self.tokens)

    def obey(self, text: str) -> None:
        """Follow a command of the client. CommandError when it is none, or asks for too much."""
        try:
            command = msgspec.json.decode(text, type=_Command)
            match command.action:
                case "subscribe":
                    self._subscribe(_tokens(command.value))
                case "unsubscribe":
                    self._unsubscribe(_tokens(command.value))
                case "mode":
                    mode, tokens = msgspec.convert(command.value, tuple[Mode, list[_Token]])
                    self._set_mode(mode, _tokens(tokens))
                case _:
                    raise CommandError(f"unknown action: {command.action}")
        except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError) as error:
            raise CommandError(f"invalid message: {error}") from None

    def take_fresh(self) -> IntArray:
        """Tokens that wait for their first packet, or for the first in another mode."""
        fresh = self.tokens[self._fresh]
        self._fresh[:] = False
        return fresh

    def told(self, ticks: RecordArray) -> RecordArray:
        """The ticks in their modes; from now on they count as told."""
        places = np.searchsorted(self.tokens, ticks["token"])
        self._told[places] = _heard(ticks)
        ticks["mode"] = self._modes[places]
        return ticks

    def news(self, ticks: RecordArray) -> RecordArray:
        """Those of the ticks whose price or volume is not what was told last."""
        places = np.searchsorted(self.tokens, ticks["token"])
        news: RecordArray = ticks[(self._told[places] != _heard(ticks)).any(axis=1)]
        return news

    def _subscribe(self, tokens: IntArray) -> None:
        new = np.setdiff1d(tokens, self.tokens)
        if len(self) + len(new) > self._limit:
            raise CommandError(f"at most {self._limit} instruments a connection, was {len(self) + len(new)}")
        order = np.argsort(np.concatenate([self.tokens, new]))
        quote = np.full(len(new), MODES.index(Mode.QUOTE))
        self.tokens = np.concatenate([self.tokens, new])[order]
        self._modes = np.concatenate([self._modes, quote])[order]
        self._told = np.concatenate([self._told, np.full((len(new), 2), NEVER)])[order]
        self._fresh = np.concatenate([self._fresh, np.ones(len(new), np.bool_)])[order]

    def _unsubscribe(self, tokens: IntArray) -> None:
        kept = ~np.isin(self.tokens, tokens)
        self.tokens, self._modes = self.tokens[kept], self._modes[kept]
        self._told, self._fresh = self._told[kept], self._fresh[kept]

    def _set_mode(self, mode: Mode, tokens: IntArray) -> None:
        """Tokens that are not followed are left alone."""
        meant = np.isin(self.tokens, tokens)
        self._modes[meant] = MODES.index(mode)
        self._fresh |= meant


def _tokens(value: Any) -> IntArray:
    return np.unique(np.array(msgspec.convert(value, list[_Token]), np.int64))


def _heard(ticks: RecordArray) -> FloatArray:
    return np.stack([ticks["last_price"], ticks["volume"]], axis=1)
