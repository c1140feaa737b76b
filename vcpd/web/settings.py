"""Settings of the HTTP server, and what follows from them: names, addresses, who may read."""

import ipaddress
import re
from typing import Annotated, ClassVar, Final
from urllib.parse import urlsplit

from msgspec import Meta, Struct

HOST_NAME: Final = re.compile(r"[\w.-]+|\[[0-9a-fA-F:.]+\]")
PUBLIC_PATH: Final = re.compile(r"(/[\w.~-]+)*/?", re.ASCII)
LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})
WILDCARD_HOSTS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - the address at which such a port is reached
CALLBACK_PATH: Final = "kite/callback"


def is_loopback(host: str) -> bool:
    """Whether binding `host` keeps the port on this machine."""
    if host in LOOPBACK_NAMES:
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class WebSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The HTTP server: API and page."""

    reloadable: ClassVar[bool] = False

    host: Annotated[
        str, Meta(min_length=1, description="address to bind; any but a loopback address requires a token")
    ] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="port to bind; 0 takes any free port")] = 8787
    allowed_hosts: Annotated[
        tuple[str, ...],
        Meta(description="further accepted Host names, e.g. that of a reverse proxy"),
    ] = ()
    public_url: Annotated[
        str,
        Meta(
            description="address under which a reverse proxy publishes the page, its path included, e.g. "
            "https://vcpd.example.org/vcpd/; alerts link to it, and reading needs a login from then on"
        ),
    ] = ""
    trusted_proxies: Annotated[
        tuple[str, ...],
        Meta(
            description="addresses of reverse proxies whose X-Forwarded-For names the client, which counts "
            "failed logins; used once the page is published"
        ),
    ] = ("127.0.0.1", "::1")
    request_timeout_s: Annotated[float, Meta(gt=0, le=300, description="time limit of one response")] = 15.0
    require_authentication: Annotated[
        bool,
        Meta(
            description="whether requests that change something need the token or a login on the page; "
            "false accepts the header X-Vcpd-Request from any user of this machine"
        ),
    ] = True
    max_connections: Annotated[
        int,
        Meta(
            ge=16,
            le=65536,
            description="most open connections; half of the process's limit of open files where that is less",
        ),
    ] = 512
    head_timeout_s: Annotated[
        float, Meta(gt=0, le=60, description="longest time until the head of a first request is complete")
    ] = 10.0
    body_limit_kb: Annotated[int, Meta(ge=1, le=1024, description="largest request body")] = 64

    def __post_init__(self) -> None:
        """ValueError for names, addresses and combinations that can never work."""
        for name in self.allowed_hosts:
            if not HOST_NAME.fullmatch(name):
                raise ValueError(
                    f"allowed_hosts: expected host names without scheme, port and path, such as "
                    f"vcpd.example.org, was {name!r}"
                )
        for address in self.trusted_proxies:
            _require_address(address)
        if self.public_url:
            _require_public_url(self.public_url)
            if not self.require_authentication:
                raise ValueError("public_url: a published page needs require_authentication = true")

    @property
    def is_published(self) -> bool:
        """Whether other machines may reach the page, so that reading it needs credentials."""
        named = bool(self.public_url or self.allowed_hosts) and self.require_authentication
        return named or not is_loopback(self.host)

    @property
    def public_path(self) -> str:
        """The path of `public_url` without its last slash; empty at the root."""
        return urlsplit(self.public_url).path.rstrip("/")

    @property
    def public_origin(self) -> str:
        """Scheme, name and port of `public_url` as browsers send them; empty without it."""
        parts = urlsplit(self.public_url)
        return f"{parts.scheme}://{parts.netloc.lower()}" if self.public_url else ""

    @property
    def public_host(self) -> str:
        """The host name of `public_url`, in brackets where it is an IPv6 address; empty without it."""
        name = urlsplit(self.public_url).hostname or ""
        return f"[{name}]" if ":" in name else name

    @property
    def page_url(self) -> str:
        """The page's address for its user, with a slash at its end."""
        if self.public_url:
            return self.public_url.rstrip("/") + "/"
        return f"http://{f'[{self.local_host}]' if ':' in self.local_host else self.local_host}:{self.port}/"

    @property
    def local_host(self) -> str:
        """The address at which this machine reaches the port, without brackets."""
        host = self.host.strip("[]")
        return WILDCARD_HOSTS.get(host, host)

    @property
    def callback_url(self) -> str:
        """The redirect URL to register with the market's app."""
        return self.page_url + CALLBACK_PATH


def _require_address(text: str) -> None:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        raise ValueError(f"trusted_proxies: expected IP addresses such as 172.17.0.1, was {text!r}") from None


def _host_of(network_location: str) -> str:
    return re.sub(r":\d+$", "", network_location)


def _require_public_url(text: str) -> None:
    """ValueError unless `text` is an address of a page and nothing more."""
    try:
        parts = urlsplit(text)
        _ = parts.port
        is_right = (
            parts.scheme in {"http", "https"}
            and bool(HOST_NAME.fullmatch(_host_of(parts.netloc)))
            and not (parts.query or parts.fragment or parts.username or "@" in parts.netloc)
            and bool(PUBLIC_PATH.fullmatch(parts.path))
        )
    except ValueError:
        is_right = False
    if not is_right:
        raise ValueError(
            "public_url: expected scheme, host name, perhaps a port and a path, such as "
            f"https://vcpd.example.org/vcpd/, was {text!r}"
        )
