"""Exceptions by what the caller can do: retry, log in, or change something."""


class VcpdError(Exception):
    """Base of every error that vcpd raises on purpose; its text is a sentence for the owner."""


class RetryableError(VcpdError):
    """A passing trouble: the same call may go through later."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NeedsLoginError(VcpdError):
    """The market's session is over: only the owner's login helps."""


class PermanentError(VcpdError):
    """The same call will fail again until somebody changes something."""


class ConfigurationError(PermanentError):
    """The configuration cannot be used; `problems` holds one line per place, path first."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class BadInputError(PermanentError):
    """A file or an argument cannot be used; the text names the place and what was expected."""


class UnavailableError(PermanentError):
    """Something the machine should give is not there (port, disk, database); the text says what to do."""


def is_transient(error: BaseException | None) -> bool:
    """Whether the trouble may be over by itself later: a server comes back, a full disk is emptied."""
    return isinstance(error, RetryableError | UnavailableError)
