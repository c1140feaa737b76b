"""A service manager's socket for tests: what the process under test tells it."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class NotifySocket:
    """Collects the datagrams sent to NOTIFY_SOCKET."""

    def __init__(self, channel: socket.socket, path: Path) -> None:
        self._channel = channel
        self.path = path
        self.messages: list[str] = []

    def read(self) -> list[str]:
        """Every message so far, waiting ones included."""
        while True:
            try:
                self.messages.append(self._channel.recv(65_536).decode())
            except BlockingIOError:
                return self.messages

    def until(self, word: str, deadline_s: float) -> str:
        """The first message that holds `word`."""
        end = time.monotonic() + deadline_s
        while time.monotonic() < end:
            for message in self.read():
                if word in message:
                    return message
            time.sleep(0.02)  # a datagram socket has no other way to be asked again
        raise AssertionError(f"{word} was never said; heard {self.messages}")


@contextmanager
def notify_socket(folder: Path) -> Iterator[NotifySocket]:
    path = folder / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(path))
        channel.setblocking(False)
        yield NotifySocket(channel, path)
