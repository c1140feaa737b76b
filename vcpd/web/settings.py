"""Settings of the HTTP server."""

from typing import Annotated

from msgspec import Meta, Struct


class WebSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The HTTP server: API and page."""

    host: Annotated[
        str, Meta(min_length=1, description="address to bind; any but a loopback address requires a token")
    ] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="port to bind; 0 takes any free port")] = 8787
    allowed_hosts: Annotated[
        tuple[str, ...],
        Meta(description="further accepted Host names, e.g. that of a reverse proxy"),
    ] = ()
    request_timeout_s: Annotated[float, Meta(gt=0, le=300, description="time limit of one response")] = 15.0
    body_limit_kb: Annotated[int, Meta(ge=1, le=1024, description="largest request body")] = 64
