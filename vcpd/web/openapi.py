"""OpenAPI 3.1 document, derived from the routes' declarations, served at /openapi.json."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
from aiohttp import web

from vcpd import __version__
from vcpd.web.cache import cached_response, encoded_body
from vcpd.web.responses import ErrorBody
from vcpd.web.routes import NO_RESPONSE, Operation, declared_operation, route

REFERENCE: Final = "#/components/schemas/{name}"
JSON: Final = "application/json"
COMMON_ERRORS: Final = (400, 401, 403, 405, 411, 413, 421)
STATUS_DESCRIPTIONS: Final = {
    400: "A parameter or the request itself is not valid; the sentence names what was expected.",
    401: "The token or the login is missing or wrong.",
    403: "The request comes from a page of another origin, or a POST lacks its header.",
    404: "Not found.",
    405: "The path does not have this method; the header Allow names those it has.",
    408: "The body did not arrive in time.",
    409: "Conflict: already running, or not possible now.",
    411: "A body without Content-Length.",
    413: "A body larger than `[web] body_limit_kb`.",
    421: "The Host header names a host that is not served here.",
    429: "Too many attempts; the header Retry-After says when to try again.",
    503: "Not available now; the sentence says why.",
}


def openapi_document(definitions: Iterable[web.RouteDef]) -> Mapping[str, Any]:
    """The document for the routes of an application."""
    operations = [declared_operation(definition) for definition in definitions]
    types = [
        ErrorBody,
        *(
            kind
            for operation in operations
            for kind in (operation.response, operation.body)
            if _has_schema(kind)
        ),
    ]
    schemas, components = msgspec.json.schema_components(
        types, ref_template=REFERENCE, schema_hook=_schema_of_other
    )
    schema_of = dict(zip(map(str, types), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        described = _operation_object(operation, schema_of)
        paths.setdefault(operation.plain_path, {})[operation.method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {"title": "vcpd", "version": __version__, "license": {"name": "MIT", "identifier": "MIT"}},
        "paths": paths,
        "components": {
            "schemas": {_component_name(name): schema for name, schema in components.items()},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _has_schema(kind: Any) -> bool:
    return kind is not None and kind is not NO_RESPONSE


def _component_name(name: str) -> str:
    """OpenAPI allows fewer characters than the names of generic types hold."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)


def _schema_of_other(kind: type) -> dict[str, Any]:
    """A quarantined row is kept as it came: anything may be in it."""
    if kind is object:
        return {"description": "any JSON value"}
    raise NotImplementedError(kind)


def _operation_object(operation: Operation, schema_of: Mapping[str, Any]) -> Mapping[str, Any]:
    described: dict[str, Any] = {
        "summary": operation.summary,
        "parameters": [parameter.describe() for parameter in operation.parameters],
        "responses": {
            str(operation.status): _success_response(operation, schema_of),
            **_error_responses(operation, schema_of),
        },
    }
    if operation.body is not None:
        content = {JSON: {"schema": schema_of[str(operation.body)]}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _success_response(operation: Operation, schema_of: Mapping[str, Any]) -> Mapping[str, Any]:
    if not _has_schema(operation.response):
        return {"description": operation.summary}
    content = {operation.media: {"schema": schema_of[str(operation.response)]}}
    return {"description": operation.summary, "content": content}


def _error_responses(operation: Operation, schema_of: Mapping[str, Any]) -> Mapping[str, Any]:
    """503 of a probe has the body of its success; every other error has the common one."""
    error = schema_of[str(ErrorBody)]
    own = schema_of.get(str(operation.response), error) if operation.media == JSON else error
    return {
        str(status): {
            "description": STATUS_DESCRIPTIONS[status],
            "content": {JSON: {"schema": {"anyOf": [own, error]} if status == 503 else error}},
        }
        for status in sorted({*operation.errors, *COMMON_ERRORS})
    }


def openapi_routes(definitions: Iterable[web.RouteDef]) -> list[web.RouteDef]:
    """The route of the document, which describes `definitions` and itself."""

    @route("GET", "/openapi.json", response=Mapping[str, Any])
    async def openapi(request: web.Request) -> web.Response:
        """The OpenAPI description of this port."""
        return cached_response(request, body)

    body = encoded_body(msgspec.json.encode(openapi_document([*definitions, openapi])))
    return [openapi]
