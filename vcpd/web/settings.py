"""Settings of the HTTP server."""

from typing import Annotated

from msgspec import Meta, Struct


class WebSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The local port."""

    host: Annotated[
        str, Meta(min_length=1, description="address to bind; anything but loopback demands a token")
    ] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="port to bind; 0 takes any free one")] = 8787
    allowed_hosts: Annotated[
        tuple[str, ...],
        Meta(description="further names under which the port may be asked, e.g. that of a reverse proxy"),
    ] = ()
    request_timeout_s: Annotated[
        float, Meta(gt=0, le=300, description="longest time one answer may take")
    ] = 15.0
    body_limit_kb: Annotated[int, Meta(ge=1, le=1024, description="largest request body")] = 64
