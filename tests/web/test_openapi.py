"""The description and the port agree."""

from tests.web.client import asking
from tests.web.fakes import sources
from vcpd.web.openapi import OPERATIONS, openapi_document
from vcpd.web.server import build_application
from vcpd.web.settings import WebSettings


def _routes() -> set[tuple[str, str]]:
    application = build_application(WebSettings(), sources())
    return {
        (route.method.lower(), (route.resource.canonical if route.resource else ""))
        for route in application.router.routes()
        if route.method != "HEAD"
    }


def test_every_route_is_described_and_every_description_has_its_route() -> None:
    described = {(method, path) for method, path in OPERATIONS}
    assert described == _routes()


def test_every_parameter_of_a_path_is_described() -> None:
    for (_, path), operation in OPERATIONS.items():
        names = {part[1:-1] for part in path.split("/") if part.startswith("{")}
        assert names == {one["name"] for one in operation.parameters if one["in"] == "path"}, path


async def test_the_document_is_served_with_its_version() -> None:
    async with asking(sources()) as client:
        answer = await client.get("/openapi.json")
        body = await answer.json()
    assert body["openapi"] == "3.1.0"
    assert body["paths"].keys() == {path for _, path in OPERATIONS}


def test_references_lead_somewhere() -> None:
    document = openapi_document()
    known = document["components"]["schemas"].keys()
    named = {
        part.partition('"')[0] for part in str(document).replace("'", '"').split("#/components/schemas/")[1:]
    }
    assert named <= known
