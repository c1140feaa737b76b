"""The description and the port agree."""

from typing import Any

from tests.fakes.web import sources
from tests.web.client import asking
from vcpd.web.openapi import openapi_routes
from vcpd.web.routes import declared_operation
from vcpd.web.server import build_application, route_definitions
from vcpd.web.settings import WebSettings

DEFINITIONS = [*route_definitions(sources()), *openapi_routes(route_definitions(sources()))]
OPERATIONS = [declared_operation(definition) for definition in DEFINITIONS]


def _routes() -> set[tuple[str, str]]:
    application = build_application(WebSettings(), sources())
    return {
        (route.method, (route.resource.canonical if route.resource else ""))
        for route in application.router.routes()
        if route.method != "HEAD"
    }


async def _document() -> Any:
    async with asking(sources()) as client:
        return await (await client.get("/openapi.json")).json()


async def test_every_route_is_described_and_every_description_has_its_route() -> None:
    paths = (await _document())["paths"]
    described = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    assert described == _routes()


async def test_every_operation_has_a_summary_and_a_described_success() -> None:
    for path, methods in (await _document())["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"], (method, path)
            success = min(operation["responses"])
            assert success in {"200", "202", "302"}, (method, path)
            assert ("content" in operation["responses"][success]) == (success != "302"), (method, path)


def test_every_parameter_of_a_path_is_declared() -> None:
    for operation in OPERATIONS:
        names = {part[1:-1] for part in operation.plain_path.split("/") if part.startswith("{")}
        assert names == {parameter.name for parameter in operation.parameters if parameter.in_path}, (
            operation.path
        )


async def test_schemas_come_from_the_structs_that_are_sent() -> None:
    document = await _document()
    schemas = document["components"]["schemas"]
    listed = document["paths"]["/api/setups"]["get"]["responses"]["200"]["content"]["application/json"]
    assert listed["schema"] == {"$ref": "#/components/schemas/SetupList"}
    assert schemas["SetupList"]["properties"].keys() == {
        "as_of",
        "count",
        "groups",
        "items",
        "score_note",
    }
    assert {"symbol", "gates", "state"} <= schemas["Setup"]["properties"].keys()


async def test_the_document_is_served_with_its_version() -> None:
    body = await _document()
    assert body["openapi"] == "3.1.0"
    assert body["paths"].keys() == {operation.plain_path for operation in OPERATIONS}


async def test_references_lead_somewhere() -> None:
    document = await _document()
    known = document["components"]["schemas"].keys()
    named = {
        part.partition('"')[0] for part in str(document).replace("'", '"').split("#/components/schemas/")[1:]
    }
    assert named <= known
