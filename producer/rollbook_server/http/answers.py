"""Answers: a status, a JSON body and headers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from starlette.responses import Response, StreamingResponse

from rollbook_server.http.errors import ApiError
from rollbook_shared.json_values import encode_json

EVENT_STREAM: Final = "text/event-stream"
_JSON: Final = "application/json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What an endpoint answers."""

    body: Any = None
    """The JSON body; it is not sent with a status of 204."""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    stream: AsyncIterator[bytes] | None = None
    """Server-sent events, in place of a body."""


NO_CONTENT: Final = Answer(status=204)


def response_of(answer: Answer) -> Response:
    """The answer as Starlette sends it."""
    if answer.status == 204:
        return Response(status_code=204, headers=dict(answer.headers))
    if answer.stream is not None:
        return StreamingResponse(answer.stream, answer.status, dict(answer.headers), media_type=EVENT_STREAM)
    content = encode_json(answer.body, option=orjson.OPT_UTC_Z)
    return Response(content, answer.status, dict(answer.headers), media_type=_JSON)


def error_response(error: ApiError) -> Response:
    """The error as Starlette sends it."""
    return Response(orjson.dumps(error.body()), error.status, error.headers, media_type=_JSON)
