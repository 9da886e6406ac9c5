"""The description of the API is complete, and every answer is as it describes."""

from __future__ import annotations

from functools import cache
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from rollbook_server.endpoints import ENDPOINTS
from rollbook_server.openapi import openapi


@cache
def document() -> dict[str, Any]:
    return openapi(ENDPOINTS, "0")


def test_every_endpoint_is_described(api: httpx.Client) -> None:
    described = {(method.upper(), path) for path, methods in document()["paths"].items() for method in methods}

    assert described == {(endpoint.method, endpoint.path) for endpoint in ENDPOINTS}
    operations = [operation for methods in document()["paths"].values() for operation in methods.values()]
    assert len({operation["operationId"] for operation in operations}) == len(ENDPOINTS)
    assert api.get("/openapi.json").json()["paths"].keys() == document()["paths"].keys()


@pytest.mark.parametrize(
    ("url", "named"),
    [(None, "/"), ("https://notify.example.com/", "https://notify.example.com")],
    ids=["none", "a url"],
)
def test_the_document_names_the_address_of_the_server(url: str | None, named: str) -> None:
    assert openapi(ENDPOINTS, "0", url)["servers"] == [{"url": named}]


def test_every_reference_leads_to_a_schema() -> None:
    def references(value: Any) -> list[str]:
        match value:
            case {"$ref": str(name)}:
                return [name]
            case dict():
                return [found for item in value.values() for found in references(item)]
            case list():
                return [found for item in value for found in references(item)]
        return []

    schemas = document()["components"]["schemas"]
    assert {name.rpartition("/")[2] for name in references(document())} <= schemas.keys()
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)


def test_the_page_needs_no_network(api: httpx.Client) -> None:
    page = api.get("/docs")

    assert page.headers["content-type"].startswith("text/html")
    assert "<script" not in page.text
    assert "`" not in page.text.partition("<h2>Schemas</h2>")[0]
    assert "http://" not in page.text.replace("http://127.0.0.1", "")
    assert all(endpoint.path in page.text for endpoint in ENDPOINTS)


def test_who_has_no_key_may_read_the_description_and_the_health(server: Any) -> None:
    for path in ("/openapi.json", "/docs", "/healthz", "/readyz", "/"):
        assert httpx.get(f"{server.url}{path}", follow_redirects=True).status_code == 200


USER = {"id": "doc"}
CALLS: list[tuple[str, str, str, Any]] = [
    ("PUT", "/v1/users/{user_id}", "/v1/users/doc", {"plan": "pro"}),
    ("GET", "/v1/users/{user_id}", "/v1/users/doc", None),
    ("GET", "/v1/users", "/v1/users", None),
    ("GET", "/v1/users/{user_id}/preferences", "/v1/users/doc/preferences", None),
    ("GET", "/v1/users/{user_id}/preferences/{set_id}", "/v1/users/doc/preferences/default", None),
    ("POST", "/v1/users/bulk/identify", "/v1/users/bulk/identify", {"users": [USER]}),
    ("POST", "/v1/workflows/{key}/trigger", "/v1/workflows/comment/trigger", {"recipients": [USER]}),
    ("GET", "/v1/users/{user_id}/messages", "/v1/users/doc/messages", None),
    ("GET", "/v1/users/{user_id}/feeds/{channel_id}", "/v1/users/doc/feeds/in_app", None),
    ("GET", "/v1/jobs/{job_id}", "/v1/jobs/any", None),
]


@pytest.mark.parametrize(("method", "template", "path", "body"), CALLS)
def test_an_answer_is_as_described(api: httpx.Client, method: str, template: str, path: str, body: Any) -> None:
    answer = api.request(method, path, json=body)

    content = document()["paths"][template][method.lower()]["responses"][str(answer.status_code)]["content"]
    schema = {**content["application/json"]["schema"], "components": document()["components"]}
    Draft202012Validator(schema).validate(answer.json())
