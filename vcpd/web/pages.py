"""The page and what belongs to it, read once into memory: no path of a request ever meets the disk."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

import msgspec
from aiohttp import web

from vcpd.web.answers import Refusal
from vcpd.web.shelf import Body, packed_body, respond
from vcpd.web.sources import Sources

KINDS: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
PACK_LEVEL: Final = 9
FOR_EVER: Final = "public, max-age=31536000, immutable"  # for files whose folder carries their version
FILES: Final = web.AppKey("files", Mapping[str, Body])


def routes(_: Sources) -> list[web.RouteDef]:
    async def page(request: web.Request) -> web.Response:
        """GET /: the page."""
        return respond(request, request.app[FILES]["index.html"])

    async def file(request: web.Request) -> web.Response:
        """GET /static/{path}: what the page is made of."""
        found = request.app[FILES].get(request.match_info["path"])
        if found is None:
            raise Refusal(404, "there is no such file")
        return respond(request, found)

    return [web.get("/", page), web.get("/static/{path:.+}", file)]


def attach(application: web.Application) -> None:
    """Have the files ready before the first request."""

    async def reading(app: web.Application) -> AsyncIterator[None]:
        app[FILES] = await asyncio.to_thread(read_files)
        yield

    application.cleanup_ctx.append(reading)


def read_files() -> Mapping[str, Body]:
    """Every file of the static folder by its path below it."""
    return dict(_below(resources.files("vcpd.web").joinpath("static"), ""))


def _below(folder: Traversable, prefix: str) -> list[tuple[str, Body]]:
    found: list[tuple[str, Body]] = []
    for entry in folder.iterdir():
        path = f"{prefix}{entry.name}"
        if entry.is_dir():
            found += _below(entry, f"{path}/")
        else:
            found.append((path, _body(path, entry.read_bytes())))
    return found


def _body(path: str, content: bytes) -> Body:
    suffix = "." + path.rpartition(".")[2]
    return msgspec.structs.replace(
        packed_body(content, PACK_LEVEL),
        content_type=KINDS.get(suffix, KINDS[".txt"]),
        cache_control=FOR_EVER if path.startswith("vendor/") else "no-cache",
    )
