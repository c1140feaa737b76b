"""Exceptions by what the caller can do: retry, log in, or change something."""

import errno
from typing import Final

DISK_ERRORS: Final = {
    errno.ENOSPC: "no space is left on the disk: free some",
    errno.EDQUOT: "the disk quota is used up: free space or raise the quota",
    errno.EROFS: "the file system is read-only: mount it writable",
    errno.EIO: "the disk reports an input/output error: check its cables and its health",
}


class VcpdError(Exception):
    """Base of every error that vcpd raises on purpose; its text is a sentence for the user."""


class RetryableError(VcpdError):
    """A temporary failure: the same call may succeed later."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NotPublishedYetError(RetryableError):
    """The market has not yet published what it publishes later the same day: nothing has failed."""


class NeedsLoginError(VcpdError):
    """The market's session is over: the user has to log in."""


class PermanentError(VcpdError):
    """The same call will fail again until the user changes something."""


class ConfigurationError(PermanentError):
    """The configuration cannot be used; `problems` holds one line per place, path first."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class BadInputError(PermanentError):
    """A file or an argument cannot be used; the text names the place and what was expected."""


class UnavailableError(PermanentError):
    """A resource of the machine is missing (port, disk, database); the text says what to do."""


class StorageUnavailableError(UnavailableError):
    """The database or the disk is not available now and may become so by itself: the daemon waits."""


class IncompatibleStoreError(PermanentError):
    """The database belongs to another version of vcpd: no restart changes that."""


def is_transient(error: BaseException | None) -> bool:
    """Whether the failure may be temporary: a server returns, a full disk is cleared."""
    return isinstance(error, RetryableError | UnavailableError)


def root_error(error: BaseException) -> BaseException:
    """The error that caused `error`: the first member inside exception groups, whatever their depth.

    An `OSError` that says that the disk is full, read-only or broken becomes an UnavailableError, so that
    it counts as a condition that can pass and is reported as a sentence.
    """
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    reason = DISK_ERRORS.get(error.errno or 0) if isinstance(error, OSError) else None
    if reason is None:
        return error
    place = getattr(error, "filename", None)
    return UnavailableError(
        f"cannot write {place}: {reason}" if place else f"a file cannot be written: {reason}"
    )
