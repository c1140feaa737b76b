"""The static page and its files, read into memory at start."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

import msgspec
from aiohttp import web

from vcpd.domain.exchange import Exchange, ExchangeDescription
from vcpd.web.cache import EncodedBody, cached_response, encoded_body
from vcpd.web.context import WebContext
from vcpd.web.responses import HttpError
from vcpd.web.routes import StringParameter, route

CONTENT_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webmanifest": "application/manifest+json",
    ".txt": "text/plain; charset=utf-8",
}
STATIC_GZIP_LEVEL: Final = 9
IMMUTABLE_CACHE_CONTROL: Final = (
    "public, max-age=31536000, immutable"  # for files whose folder carries their version
)
SERVICE_WORKER: Final = "sw.js"  # it keeps the page itself, which lies one folder above it
EXCHANGE_SCRIPT: Final = "exchange.js"
FILE_PATH: Final = StringParameter("path", "The file's path below the static folder.", in_path=True)
STATIC_FILES: Final = web.AppKey("files", Mapping[str, EncodedBody])


def page_routes(context: WebContext) -> list[web.RouteDef]:
    """The routes of the page and its files."""
    generated = {EXCHANGE_SCRIPT: exchange_script(context.exchange)}

    @route("GET", "/", response=str, media="text/html", public=True)
    async def page(request: web.Request) -> web.Response:
        """The page."""
        return cached_response(request, request.app[STATIC_FILES]["index.html"])

    @route(
        "GET",
        "/static/{path:.+}",
        parameters=(FILE_PATH,),
        response=str,
        media="text/*",
        errors=(404,),
        public=True,
    )
    async def static_file(request: web.Request) -> web.Response:
        """A file of the page."""
        path = request.match_info["path"]
        found = generated.get(path) or request.app[STATIC_FILES].get(path)
        if found is None:
            raise HttpError(404, "there is no such file")
        response = cached_response(request, found)
        if path == SERVICE_WORKER:
            response.headers["Service-Worker-Allowed"] = "../"
        return response

    return [page, static_file]


def to_folder(path: str) -> web.RouteDef:
    """The route that adds the last slash to the page's published path: its links are relative to it."""

    @route("GET", path, status=302, public=True)
    async def add_slash(_: web.Request) -> web.Response:
        """Redirect to the page."""
        return web.Response(status=302, headers={"Location": f"{path}/"})

    return add_slash


def exchange_script(exchange: Exchange) -> EncodedBody:
    """The module from which the page's scripts import the exchange: its time zone, currency and symbols."""
    description = msgspec.json.encode(ExchangeDescription.of(exchange)).decode()
    return _static_body(EXCHANGE_SCRIPT, f"export const exchange = {description};\n".encode())


def attach_pages(application: web.Application) -> None:
    """Read the files before the first request."""

    async def reading(app: web.Application) -> AsyncIterator[None]:
        app[STATIC_FILES] = await asyncio.to_thread(read_static_files)
        yield

    application.cleanup_ctx.append(reading)


def read_static_files() -> Mapping[str, EncodedBody]:
    """Every file of the static folder by its path below it."""
    return dict(_files_below(resources.files("vcpd.web").joinpath("static"), ""))


def _files_below(folder: Traversable, prefix: str) -> list[tuple[str, EncodedBody]]:
    found: list[tuple[str, EncodedBody]] = []
    for entry in folder.iterdir():
        path = f"{prefix}{entry.name}"
        if entry.is_dir():
            found += _files_below(entry, f"{path}/")
        else:
            found.append((path, _static_body(path, entry.read_bytes())))
    return found


def _static_body(path: str, content: bytes) -> EncodedBody:
    suffix = "." + path.rpartition(".")[2]
    return msgspec.structs.replace(
        encoded_body(content, STATIC_GZIP_LEVEL),
        content_type=CONTENT_TYPES.get(suffix, CONTENT_TYPES[".txt"]),
        cache_control=IMMUTABLE_CACHE_CONTROL if path.startswith("vendor/") else "no-cache",
    )
