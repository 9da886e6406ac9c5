"""What the description of the API permits is never answered with an error of the server, and as it describes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from tests.support.example_counts import examples
from tests.support.server.running_server import SECRET_KEY, RunningServer

from rollbook_server.endpoints import ENDPOINTS
from rollbook_server.openapi import openapi

LABELS = sorted(endpoint.name for endpoint in ENDPOINTS if not endpoint.streams)  # an answer that never ends


@pytest.fixture(scope="module")
def operations() -> dict[str, Any]:
    """What the document describes, as schemathesis reads it: its import takes more than a second."""
    import schemathesis
    from schemathesis.core.result import Ok

    schema = schemathesis.openapi.from_dict(openapi(ENDPOINTS, "0"))
    return {found.ok().label: found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)}


def test_every_operation_is_played(operations: dict[str, Any]) -> None:
    assert operations.keys() - set(LABELS) == {endpoint.name for endpoint in ENDPOINTS if endpoint.streams}


@pytest.mark.parametrize("label", LABELS)
def test_no_request_that_is_described_fails_the_server(
    server: RunningServer, operations: dict[str, Any], label: str
) -> None:
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

    checks = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]

    @given(case=operations[label].as_strategy())
    @settings(examples(5), database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    def play(case: Any) -> None:
        case.headers = {**(case.headers or {}), "authorization": f"Bearer {SECRET_KEY}", "prefer": "respond-async"}
        case.call_and_validate(base_url=server.url, checks=checks)

    play()
