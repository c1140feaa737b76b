"""A program around the vendor's own KiteTicker: follows instruments until an order update, then reports.

Arguments: the feed's address, key, access token, instrument tokens. Prints one line of JSON.
"""

import json
import sys
from collections.abc import Sequence
from typing import Any

from kiteconnect import KiteTicker


class Follower:
    """What came, by instrument and by kind."""

    def __init__(self, tokens: Sequence[int]) -> None:
        self.tokens = list(tokens)
        self.counts = {"connects": 0, "heartbeats": 0, "frames": 0, "errors": 0, "falls": 0}
        self.first: dict[int, dict[str, Any]] = {}
        self.last: dict[int, dict[str, Any]] = {}
        self.prices: dict[int, list[float]] = {}

    def on_connect(self, socket: Any, _response: Any) -> None:
        self.counts["connects"] += 1
        if self.counts["connects"] == 1:
            socket.subscribe(self.tokens)
            socket.set_mode(socket.MODE_FULL, self.tokens)

    def on_message(self, _socket: Any, payload: bytes, is_binary: Any) -> None:
        self.counts["heartbeats"] += bool(is_binary) and len(payload) == 1

    def on_ticks(self, _socket: Any, ticks: list[dict[str, Any]]) -> None:
        self.counts["frames"] += 1
        for tick in ticks:
            token = tick["instrument_token"]
            reported = {
                name: tick.get(name) for name in ("mode", "last_price", "volume_traded", "ohlc", "tradable")
            }
            reported["levels"] = len(tick.get("depth", {}).get("buy", ()))
            before = self.last.get(token, reported)
            self.counts["falls"] += (before["volume_traded"] or 0) > (reported["volume_traded"] or 0)
            self.first.setdefault(token, reported)
            self.last[token] = reported
            self.prices.setdefault(token, []).append(tick["last_price"])

    def on_error(self, _socket: Any, _code: Any, _reason: Any) -> None:
        self.counts["errors"] += 1

    def on_order_update(self, socket: Any, order: dict[str, Any]) -> None:
        report = {
            "counts": self.counts,
            "first": self.first,
            "last": self.last,
            "extremes": {token: [min(prices), max(prices)] for token, prices in self.prices.items()},
            "order": order,
        }
        sys.stdout.write(json.dumps(report) + "\n")
        sys.stdout.flush()
        socket.stop()


def follow(root: str, api_key: str, access_token: str, tokens: Sequence[int]) -> None:
    follower = Follower(tokens)
    ticker = KiteTicker(api_key, access_token, root=root)
    for name in ("on_connect", "on_message", "on_ticks", "on_error", "on_order_update"):
        setattr(ticker, name, getattr(follower, name))
    ticker.connect()


if __name__ == "__main__":
    follow(sys.argv[1], sys.argv[2], sys.argv[3], [int(token) for token in sys.argv[4:]])
