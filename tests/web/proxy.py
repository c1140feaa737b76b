"""A reverse proxy for tests: HTTPS at another address, the page below a path."""

import asyncio
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import aiohttp
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ADDRESS: Final = "127.0.0.2"
START_TIMEOUT_S: Final = 10.0
OWN_HEADERS: Final = frozenset({"transfer-encoding", "connection", "content-length", "content-encoding"})


def certificate(folder: Path) -> ssl.SSLContext:
    """A certificate for ADDRESS that nobody trusts, made for this run."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, ADDRESS)])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(ADDRESS))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    no_password = serialization.NoEncryption()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, no_password
    )
    file.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


class Proxy:
    """Passes requests below `path` on to `upstream`, as Caddy does; strips the path where `strips`."""

    def __init__(self, upstream: str, path: str, *, strips: bool) -> None:
        self._upstream = upstream
        self._path = path
        self._strips = strips

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """The answer, passed on as it comes."""
        if not request.path.startswith(f"{self._path}/"):
            raise web.HTTPNotFound
        target = request.path_qs.removeprefix(self._path) if self._strips else request.path_qs
        headers = {
            **request.headers,
            "X-Forwarded-For": request.remote or "",
            "X-Forwarded-Proto": "https",
            "Accept-Encoding": "identity",
        }
        async with (
            aiohttp.ClientSession(auto_decompress=False, timeout=aiohttp.ClientTimeout(30)) as http,
            http.request(
                request.method,
                self._upstream + target,
                headers=headers,
                data=await request.read() or None,
                allow_redirects=False,
            ) as answer,
        ):
            response = web.StreamResponse(status=answer.status)
            for name, value in answer.headers.items():
                if name.lower() not in OWN_HEADERS:
                    response.headers.add(name, value)
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            return response


async def _stop(runner: web.ServerRunner, server: web.Server) -> None:
    """Stop serving, end the streams that are passed on, and wait for no browser to close its end."""
    passing = asyncio.all_tasks() - {asyncio.current_task()}
    for task in passing:
        task.cancel()
    await asyncio.gather(*passing, return_exceptions=True)
    for connection in server.connections:
        if isinstance(connection.transport, asyncio.WriteTransport):
            connection.transport.abort()
    await asyncio.sleep(0)
    await runner.cleanup()


@contextmanager
def proxied(
    upstream: str, port: int, folder: Path, *, path: str = "/vcpd", strips: bool = True
) -> Iterator[str]:
    """Serve `upstream` at https://127.0.0.2:`port` below `path`; gives the page's address."""
    loop = asyncio.new_event_loop()
    server = web.Server(Proxy(upstream, path, strips=strips), loop=loop)
    thread = threading.Thread(target=loop.run_forever, name="proxy", daemon=True)
    thread.start()

    async def start() -> web.ServerRunner:
        runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, ADDRESS, port, ssl_context=certificate(folder)).start()
        return runner

    runner = asyncio.run_coroutine_threadsafe(start(), loop).result(START_TIMEOUT_S)
    try:
        yield f"https://{ADDRESS}:{port}{path}/"
    finally:
        asyncio.run_coroutine_threadsafe(_stop(runner, server), loop).result(START_TIMEOUT_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(START_TIMEOUT_S)
        loop.close()
