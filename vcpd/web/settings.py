"""Settings of the HTTP server."""

import re
from typing import Annotated, ClassVar, Final

from msgspec import Meta, Struct

HOST_NAME: Final = re.compile(r"[\w.-]+|\[[0-9a-fA-F:.]+\]")


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
        for name in self.allowed_hosts:
            if not HOST_NAME.fullmatch(name):
                raise ValueError(
                    f"allowed_hosts: expected host names without scheme, port and path, such as "
                    f"vcpd.example.org, was {name!r}"
                )
