"""Settings of the store."""

import os
from typing import Annotated, ClassVar, Final
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from vcpd.core.secrets import Secret

DSN_EXPECTED: Final = (
    "expected a PostgreSQL address such as postgresql://user@host:5432/database, special characters "
    "percent-encoded (not shown, it may hold a password)"
)
MIN_SHARED_BUFFERS_MB: Final = 32
MAX_SHARED_BUFFERS_MB: Final = 96
SHARED_BUFFERS_DIVISOR: Final = 16


def is_postgres_dsn(dsn: str) -> bool:
    """Whether it has the shape of an address of PostgreSQL, of one host or several."""
    try:
        parts = urlsplit(dsn)
    except ValueError:
        return False
    hosts = parts.netloc.rpartition("@")[2].split(",")
    ports = [host.rpartition("]")[2].partition(":")[2] for host in hosts]
    return parts.scheme in ("postgresql", "postgres") and all(
        not port or (port.isascii() and port.isdigit() and 0 < int(port) < 65_536) for port in ports
    )


def dsn_location(dsn: Secret) -> str:
    """Where the address leads, without user and password."""
    parts = urlsplit(dsn.reveal())
    return f"{parts.netloc.rpartition('@')[2] or 'the local socket'}{parts.path}"


def default_shared_buffers_mb(machine_mb: float) -> int:
    """What the embedded server keeps in memory by default: the system caches its files as well."""
    return int(min(MAX_SHARED_BUFFERS_MB, max(MIN_SHARED_BUFFERS_MB, machine_mb / SHARED_BUFFERS_DIVISOR)))


def machine_memory_mb() -> float:
    """The machine's memory."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


class StoreSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The PostgreSQL database: your own, or one that vcpd runs."""

    reloadable: ClassVar[bool] = False

    dsn: Annotated[
        str | None,
        Meta(
            description="Address of your own PostgreSQL (`postgresql://user@host/database`), 14 or newer; "
            "unset: vcpd starts one of its own below the state directory."
        ),
    ] = None
    pool_size: Annotated[
        int, Meta(ge=3, le=64, description="Largest number of connections to the database.")
    ] = 6
    connect_timeout_s: Annotated[
        float, Meta(gt=0, le=120, description="Time limit of one attempt to connect.")
    ] = 10.0
    statement_timeout_s: Annotated[
        float, Meta(gt=0, le=3600, description="A single statement that takes longer is cancelled.")
    ] = 120.0
    start_timeout_s: Annotated[
        float,
        Meta(gt=0, le=600, description="Time limit for the embedded server to start, recovery included."),
    ] = 60.0
    stop_timeout_s: Annotated[
        float,
        Meta(gt=0, le=600, description="Time limit for the embedded server to stop before it is killed."),
    ] = 20.0
    shared_buffers_mb: Annotated[
        Annotated[int, Meta(ge=16, le=65_536)] | None,
        Meta(
            description="shared_buffers of the embedded server; unset: a sixteenth of the machine's memory, "
            "at least 32 and at most 96 MB."
        ),
    ] = None
    max_wal_mb: Annotated[
        int,
        Meta(
            ge=128,
            le=65_536,
            description="max_wal_size of the embedded server; a larger log triggers a checkpoint.",
        ),
    ] = 1024
    panel_sessions: Annotated[
        int, Meta(ge=260, le=20_000, description="Sessions in the panel that screening and risk read.")
    ] = 1300

    def __post_init__(self) -> None:
        if self.dsn is not None and not is_postgres_dsn(self.dsn):
            raise ValueError(f"dsn: {DSN_EXPECTED}")
