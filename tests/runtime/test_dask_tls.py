"""A Dask cluster over TLS: used with the right files, refused with a sentence that names the wrong one."""

from pathlib import Path

import msgspec
import pytest
import trustme

from tests.runtime import panels
from tests.runtime.dask_processes import dask_processes
from tests.runtime.panels import open_panel
from vcpd.core.errors import UnavailableError
from vcpd.domain.panel import PanelReference
from vcpd.runtime.dask_security import cluster_security, connection_problem
from vcpd.runtime.dask_workers import DaskWorkers
from vcpd.runtime.settings import DaskSettings, WorkerSettings

UNUSED_ADDRESS = "tls://127.0.0.1:1"


def tls_files(folder: Path) -> DaskSettings:
    """Settings with the files of a new authority: its certificate, and one that it signed with its key."""
    folder.mkdir()
    authority = trustme.CA()
    signed = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    signed.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    signed.private_key_pem.write_to_path(folder / "key.pem")
    return DaskSettings(
        scheduler=UNUSED_ADDRESS,
        tls_ca_file=str(folder / "ca.pem"),
        tls_cert_file=str(folder / "cert.pem"),
        tls_key_file=str(folder / "key.pem"),
        connect_timeout_s=60.0,
        worker_wait_s=120.0,
    )


@pytest.fixture
def right(tmp_path: Path) -> DaskSettings:
    return tls_files(tmp_path / "right")


async def test_a_cluster_over_tls_computes_and_an_authority_of_others_is_refused(
    tmp_path: Path, right: DaskSettings, panel: PanelReference
) -> None:
    with dask_processes(tmp_path / "dask", right) as cluster:
        cluster.start_scheduler()
        cluster.start_worker()
        assert cluster.address.startswith("tls://")
        right = msgspec.structs.replace(right, scheduler=cluster.address)
        parts = await _closes(right, panel)
        assert [row for part in parts for row in part] == list(range(40))
        other = tls_files(tmp_path / "other").tls_ca_file
        sentence = (
            rf"{cluster.address} shows a certificate that the authority of dask.tls_ca_file {other} did"
        )
        with pytest.raises(UnavailableError, match=sentence):
            await _closes(msgspec.structs.replace(right, tls_ca_file=other), panel)


async def _closes(dask: DaskSettings, panel: PanelReference) -> list[list[float]]:
    workers = DaskWorkers(WorkerSettings(chunk_rows=16), dask, open_panel)
    try:
        return list(await workers.map_panel(panels.closes, panel, 1.0))
    finally:
        await workers.close()


def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, right: DaskSettings) -> None:
    other = tls_files(tmp_path / "other")
    text = tmp_path / "text.pem"
    text.write_text("no certificate\n", encoding="ascii")
    for changes, named in (
        ({"tls_ca_file": "/nowhere/ca.pem"}, r"dask\.tls_ca_file /nowhere/ca\.pem: .*No such file"),
        ({"tls_ca_file": str(text)}, r"dask\.tls_ca_file .*text\.pem: .*no certificate"),
        ({"tls_cert_file": "/nowhere/cert.pem"}, r"dask\.tls_cert_file /nowhere/cert\.pem"),
        ({"tls_key_file": other.tls_key_file}, r"dask\.tls_key_file .*other/key\.pem: .*key values mismatch"),
    ):
        with pytest.raises(UnavailableError, match=named):
            cluster_security(msgspec.structs.replace(right, **changes))


def test_an_address_without_tls_needs_no_files() -> None:
    assert cluster_security(DaskSettings(scheduler="tcp://127.0.0.1:1")) is None


def test_a_refused_certificate_is_named_whatever_it_was_wrapped_in(right: DaskSettings) -> None:
    error = OSError("connection closed")
    error.__cause__ = OSError("SSLError: [SSL: TLSV1_ALERT_UNKNOWN_CA] tlsv1 alert unknown ca")
    assert connection_problem(error, right) == (
        f"the Dask scheduler at {UNUSED_ADDRESS} refuses the certificate of dask.tls_cert_file "
        f"{right.tls_cert_file}"
    )
    assert connection_problem(TimeoutError(), right).endswith("cannot be reached: no answer")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"scheduler": UNUSED_ADDRESS}, "needs tls_ca_file, tls_cert_file and tls_key_file"),
        ({"scheduler": UNUSED_ADDRESS, "tls_ca_file": "ca.pem"}, "needs tls_ca_file"),
        ({"scheduler": "tcp://127.0.0.1:1", "tls_key_file": "key.pem"}, "need an address of tls://"),
    ],
)
def test_an_address_and_files_that_contradict_each_other_are_refused(
    settings: dict[str, str], expected: str
) -> None:
    with pytest.raises(ValueError, match=expected):
        DaskSettings(**settings)  # type: ignore[arg-type]
