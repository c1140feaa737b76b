"""Settings of the process: workers and logging."""

import os
from typing import Annotated, ClassVar, Final, Literal

import msgspec
from msgspec import Meta

LOCAL: Final = "local"
DASK: Final = "dask"
TLS_SCHEME: Final = "tls://"
EngineName = Literal["local", "dask"]
StartMethod = Literal["forkserver", "spawn"]
Sink = Literal["auto", "console", "journal", "json"]
Level = Literal["debug", "info", "warning", "error"]


def default_worker_count() -> int:
    """Two workers, or one where the machine gives this process a single core."""
    return min(2, len(os.sched_getaffinity(0)))


class DaemonSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The market that the daemon follows, and its state directory."""

    reloadable: ClassVar[bool] = False

    market: Annotated[
        str,
        msgspec.Meta(
            min_length=1,
            description="`sandbox` (a simulated exchange of its own), `kite` (Zerodha, needs an account), "
            "`bhavcopy` (the exchange's daily bhavcopy files), or the name of an installed plug-in",
        ),
    ] = "sandbox"
    state_dir: Annotated[
        str,
        msgspec.Meta(
            min_length=1,
            description="everything that vcpd writes is below this directory; relative to this file",
        ),
    ] = "state"
    shutdown_timeout_s: Annotated[
        float,
        msgspec.Meta(
            gt=0, le=600, description="how long running work may take to finish when the daemon stops"
        ),
    ] = 20.0


class WorkerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Worker processes, which do all computing."""

    reloadable: ClassVar[bool] = True

    engine: Annotated[
        EngineName,
        Meta(
            description="Where screens, risk, history and studies compute: local (worker processes of this "
            "machine) or dask (the cluster of the section [dask]); all else computes locally."
        ),
    ] = LOCAL
    count: Annotated[
        int, Meta(ge=1, le=64, description="Worker processes; by default 2, or 1 on a single core.")
    ] = msgspec.field(default_factory=default_worker_count)
    chunk_rows: Annotated[
        int,
        Meta(ge=1, le=100_000, description="Symbols per task; fewer answer sooner, more cost less overhead."),
    ] = 64
    recycle_after_tasks: Annotated[
        int, Meta(ge=1, le=1_000_000, description="Tasks after which a worker process is replaced.")
    ] = 2_000
    recycle_above_mb: Annotated[
        int,
        Meta(
            ge=8,
            le=1_000_000,
            description="A worker whose private memory is above this is replaced after its task.",
        ),
    ] = 512
    memory_limit_mb: Annotated[
        int,
        Meta(
            ge=128,
            le=1_000_000,
            description="Private memory that a worker cannot exceed; a larger allocation fails.",
        ),
    ] = 1_024
    task_timeout_s: Annotated[
        float,
        Meta(gt=0, le=86_400, description="A task that takes longer has its worker killed and replaced."),
    ] = 120.0
    idle_release_s: Annotated[
        float,
        Meta(
            gt=0,
            le=86_400,
            description="Idle seconds after which a worker unmaps the panel and returns free memory.",
        ),
    ] = 30.0
    idle_stop_s: Annotated[
        float,
        Meta(
            gt=0,
            le=86_400,
            description="Idle seconds after which all worker processes end and free their memory; the next "
            "task starts them again and waits for that.",
        ),
    ] = 600.0
    max_failed_symbols: Annotated[
        int,
        Meta(
            ge=0,
            le=100_000,
            description="Symbols that may fail in one job before the whole job fails.",
        ),
    ] = 20
    start_method: Annotated[
        StartMethod,
        Meta(
            description="How worker processes start: forkserver (quick) or spawn (where that is not allowed)."
        ),
    ] = "forkserver"


class DaskSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A Dask cluster that computes instead of the local workers; docs/scale-out.md."""

    reloadable: ClassVar[bool] = True

    scheduler: Annotated[
        Annotated[str, Meta(pattern=r"^(tcp|tls)://[^\s/]+:[0-9]+$")] | None,
        Meta(
            description="Address of the scheduler, such as tls://scheduler.example:8786; needed by "
            '`engine = "dask"` in [workers] and by `--engine dask`.',
        ),
    ] = None
    tls_ca_file: Annotated[
        str | None, Meta(description="Certificate of the authority that signed the cluster's, as PEM.")
    ] = None
    tls_cert_file: Annotated[
        str | None, Meta(description="Certificate that shows the cluster who connects, as PEM.")
    ] = None
    tls_key_file: Annotated[str | None, Meta(description="Private key of that certificate, as PEM.")] = None
    connect_timeout_s: Annotated[
        float, Meta(gt=0, le=3_600, description="How long to wait for the scheduler's answer.")
    ] = 15.0
    worker_wait_s: Annotated[
        float,
        Meta(gt=0, le=86_400, description="How long to wait for a worker while the scheduler has none."),
    ] = 60.0
    fallback: Annotated[
        bool,
        Meta(
            description="Compute in the local workers, after a warning, while the cluster cannot be used; "
            "otherwise the command fails, and the daemon's job fails and is tried again."
        ),
    ] = True

    def __post_init__(self) -> None:
        """ValueError for an address and files that contradict each other."""
        files = (self.tls_ca_file, self.tls_cert_file, self.tls_key_file)
        encrypted = self.scheduler is not None and self.scheduler.startswith(TLS_SCHEME)
        if encrypted and None in files:
            names = "tls_ca_file, tls_cert_file and tls_key_file"
            raise ValueError(f"scheduler: {TLS_SCHEME} needs {names} of the section [dask]")
        if self.scheduler is not None and not encrypted and any(files):
            raise ValueError(
                f"scheduler: the TLS files of the section [dask] need an address of {TLS_SCHEME}"
            )


class LogSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is logged, and where it goes."""

    reloadable: ClassVar[bool] = True
    fixed_settings: ClassVar[tuple[str, ...]] = ("sink",)  # not even where the section is reloadable

    level: Annotated[Level, Meta(description="The lowest level that is logged.")] = "info"
    sink: Annotated[
        Sink,
        Meta(
            description="auto: the journal under systemd, a coloured console on a terminal, else JSON lines."
        ),
    ] = "auto"
