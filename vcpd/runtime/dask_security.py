"""TLS towards a Dask cluster: the files of the settings, and sentences for what goes wrong with them."""

import ssl
from collections.abc import Iterator
from typing import Final

from distributed import Security

from vcpd.core.errors import UnavailableError
from vcpd.runtime.settings import TLS_SCHEME, DaskSettings

REFUSED_CERTIFICATE: Final = ("UNKNOWN_CA", "BAD_CERTIFICATE", "CERTIFICATE_UNKNOWN", "CERTIFICATE_REQUIRED")


def cluster_security(settings: DaskSettings) -> Security | None:
    """Builds TLS from the files; None for an address without it. UnavailableError for an unusable file."""
    if settings.scheduler is None or not settings.scheduler.startswith(TLS_SCHEME):
        return None
    _check_authority(settings)
    _check_certificate(settings)
    return Security(
        tls_ca_file=settings.tls_ca_file,
        tls_client_cert=settings.tls_cert_file,
        tls_client_key=settings.tls_key_file,
        require_encryption=True,
    )


def _check_authority(settings: DaskSettings) -> None:
    try:
        ssl.create_default_context(cafile=settings.tls_ca_file)
    except OSError as error:
        raise UnavailableError(
            f"dask.tls_ca_file {settings.tls_ca_file}: expected the authority's certificate as PEM: "
            f"{_reason(error)}"
        ) from None


def _check_certificate(settings: DaskSettings) -> None:
    """Refuses a key with a password: Dask would ask for it on the terminal."""
    certificate, key = str(settings.tls_cert_file), settings.tls_key_file
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, password=str)
    except OSError as error:
        raise UnavailableError(
            f"dask.tls_cert_file {certificate} and dask.tls_key_file {key}: expected a certificate and its "
            f"private key, without a password, as PEM: {_reason(error)}"
        ) from None


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).replace("_", " ").lower()
    return error.strerror or str(error)


def connection_problem(error: BaseException, settings: DaskSettings) -> str:
    """Says why the scheduler cannot be used, in a sentence that names the file where TLS is the reason."""
    place = f"the Dask scheduler at {settings.scheduler}"
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return (
                f"{place} shows a certificate that the authority of dask.tls_ca_file "
                f"{settings.tls_ca_file} did not sign: {cause.verify_message}"
            )
        if any(alert in str(cause) for alert in REFUSED_CERTIFICATE):
            return f"{place} refuses the certificate of dask.tls_cert_file {settings.tls_cert_file}"
    return f"{place} cannot be reached: {str(error) or 'no answer'}"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Returns the error and those that it came from, outermost first."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
