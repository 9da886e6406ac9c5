"""The OpenAPI 3.1 document, made of the table of endpoints."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, Final

from pydantic import TypeAdapter

from rollbook_server.api.shapes import ErrorBody
from rollbook_server.http.answers import EVENT_STREAM
from rollbook_server.routes import ApiRoute
from rollbook_server.writes import JOB_HEADER, OCCURRED_AT_HEADER, REPLAY_HEADER, RUN_AT_HEADER

VERSION: Final = "3.1.0"
_REFS: Final = "#/components/schemas/{model}"
_JSON: Final = "application/json"
_TEXT: Final[dict[str, Any]] = {"type": "string"}
_ERRORS: Final = {
    "400": "The request cannot be read.",
    "401": "The key or the user token is missing or not valid.",
    "403": "The caller may not do this.",
    "404": "There is no such thing.",
    "409": "Another caller was faster.",
    "413": "The body is too large.",
    "415": "The body is no JSON.",
    "422": "The request breaks a rule; `errors` lists all problems.",
    "503": "A server is away or busy; try again with the same idempotency key.",
}
_WRITE_HEADERS: Final = {
    "idempotency-key": "A request that is sent again with this key changes nothing more.",
    "prefer": "`respond-async`: do not wait for a worker.",
    OCCURRED_AT_HEADER: "When it happened (ISO 8601 with its offset); by default now.",
    RUN_AT_HEADER: "When it is to take effect (ISO 8601 with its offset).",
}


def openapi(endpoints: Sequence[ApiRoute], version: str, url: str | None = None) -> dict[str, Any]:
    """The document.

    version: the server's.
    url: by which callers reach the server; None: that from which they have the document.
    """
    schemas = _Schemas()
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, schemas)
    return {
        "openapi": VERSION,
        "info": {
            "title": "Rollbook",
            "version": version,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": (url or "/").rstrip("/") or "/"}],
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "schemas": schemas.definitions,
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "A secret key, or a public key."},
                "user_token": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-Knock-User-Token",
                    "description": "With a public key: a JWT (RS256) whose `sub` is the user's id.",
                },
            },
        },
    }


class _Schemas:
    """Collects the schemas of types under `components`."""

    def __init__(self) -> None:
        self.definitions: dict[str, Any] = {}

    def of(self, type: Any) -> dict[str, Any]:
        schema = TypeAdapter(type).json_schema(ref_template=_REFS, mode="serialization")
        self.definitions.update(schema.pop("$defs", {}))
        if (title := schema.get("title")) is None:
            return schema
        self.definitions[title] = schema
        return {"$ref": _REFS.format(model=title)}


def _operation(endpoint: ApiRoute, schemas: _Schemas) -> dict[str, Any]:
    summary, _, description = (inspect.getdoc(endpoint.handler) or "").partition("\n")
    operation: dict[str, Any] = {
        "operationId": f"{endpoint.handler.__module__.rpartition('.')[2]}_{endpoint.handler.__name__}",
        "summary": summary.rstrip("."),
        "tags": [endpoint.tag],
        "parameters": _parameters(endpoint),
        "responses": _responses(endpoint, schemas),
    }
    if description.strip():
        operation["description"] = " ".join(description.split())
    if endpoint.permission is not None:
        operation["security"] = [{"key": []}, {"key": [], "user_token": []}]
    if endpoint.body is not None:
        operation["requestBody"] = {"required": True, "content": {_JSON: {"schema": schemas.of(endpoint.body)}}}
    return operation


def _parameters(endpoint: ApiRoute) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": _TEXT} for name in endpoint.path_parameters
    ]
    parameters += [
        {"name": each.name, "in": "query", "description": each.description, "schema": each.schema}
        for each in endpoint.query
    ]
    if endpoint.writes:
        parameters += [
            {"name": name, "in": "header", "description": text, "schema": _TEXT}
            for name, text in _WRITE_HEADERS.items()
        ]
    return parameters


def _responses(endpoint: ApiRoute, schemas: _Schemas) -> dict[str, Any]:
    error = {_JSON: {"schema": schemas.of(ErrorBody)}}
    responses: dict[str, Any] = {}
    if endpoint.answer is None:
        responses["204"] = {"description": "Done.", "headers": _headers(endpoint)}
    else:
        content = {EVENT_STREAM if endpoint.streams else _JSON: {"schema": schemas.of(endpoint.answer)}}
        responses["200"] = {"description": "Done.", "content": content, "headers": _headers(endpoint)}
        if endpoint.writes:
            text = "The broker has the job, and no worker has applied it yet. The body is what was sent."
            responses["202"] = {"description": text, "content": content, "headers": _headers(endpoint)}
    return responses | {status: {"description": text, "content": error} for status, text in _ERRORS.items()}


def _headers(endpoint: ApiRoute) -> dict[str, Any]:
    if not endpoint.writes:
        return {}
    return {
        JOB_HEADER: {"description": "The id of the job.", "schema": _TEXT},
        REPLAY_HEADER: {"description": "`true` if the request was made before.", "schema": _TEXT},
    }
