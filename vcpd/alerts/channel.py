"""A channel: one way to reach the owner."""

from typing import Protocol

from vcpd.alerts.message import Message


class Channel(Protocol):
    """Sends messages to one place; says nothing of secrets, whatever goes wrong."""

    @property
    def name(self) -> str: ...

    @property
    def is_noop(self) -> bool:
        """Whether it does not know where to send: then it is off."""
        ...

    @property
    def missing(self) -> str | None:
        """What a channel that was begun lacks, in words; None where it is complete or off."""
        ...

    async def send(self, message: Message) -> None:
        """Returns when the other side has taken the message.

        Raises RetryableError for what may pass by itself, PermanentError for what the owner must change.
        """
        ...
