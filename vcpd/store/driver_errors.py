"""The driver's errors as ours: what passes by itself, what the owner must change."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import asyncpg

from vcpd.domain.errors import PermanentError, RetryableError, UnavailableError, VcpdError

REFUSED: Final = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
)
MISUSE: Final = (asyncpg.DataError, asyncpg.exceptions.ClientConfigurationError)
AWAY: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InterfaceError,
)
PASSING: Final = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
)
FULL: Final = (asyncpg.DiskFullError, asyncpg.OutOfMemoryError)
READ_ONLY: Final = (asyncpg.ReadOnlySQLTransactionError,)


@contextmanager
def store_errors() -> Iterator[None]:
    """Raise RetryableError, UnavailableError or PermanentError in place of what the driver raises."""
    try:
        yield
    except (VcpdError, *MISUSE):
        raise  # ours already; or a wrong argument, which no waiting mends
    except (*REFUSED, *FULL, *READ_ONLY, *AWAY, *PASSING, asyncpg.IntegrityConstraintViolationError) as error:
        raise translated(error) from error


def translated(error: BaseException) -> VcpdError:
    """The error of ours for one of the driver's."""
    words = str(error) or type(error).__name__
    if isinstance(error, REFUSED):
        return UnavailableError(f"the store refuses vcpd ({words}): correct [store] dsn or the user's rights")
    if isinstance(error, FULL) or getattr(error, "errno", None) == errno.ENOSPC:
        return UnavailableError(f"the store has no room left ({words}): free disk or memory, then try again")
    if isinstance(error, READ_ONLY):
        return UnavailableError(f"the store is read-only ({words}): point [store] dsn at the primary server")
    if isinstance(error, PASSING):
        return RetryableError(f"another transaction was in the way ({words})")
    if isinstance(error, AWAY):
        return RetryableError(f"the store does not answer ({words})")
    return PermanentError(f"the store's rules forbid this ({words})")
