"""Reads the JSON bodies of requests, within a size."""

from __future__ import annotations

import re
import zlib
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json
from starlette.requests import ClientDisconnect, Request

from rollbook_server.http.errors import ApiError, invalid
from rollbook_shared.jobs.pydantic_problems import problems_of

_JSON: Final = re.compile(r"application/(?:[a-z0-9.+-]+\+)?json", re.IGNORECASE)


async def read_body(request: Request, most: int) -> bytes:
    """The bytes of the body, unpacked if it is packed with gzip.

    most: bytes that it may have, packed and unpacked. What comes after them is neither read nor unpacked.

    Raises:
        ApiError: 413, it has more; 400, the caller went away, or it cannot be unpacked; 415, it is packed otherwise.
    """
    packed = await _read(request, most)
    match request.headers.get("content-encoding", "").strip().lower():
        case "identity" | "":
            return packed
        case "gzip":
            return _unpack(packed, most)
    raise ApiError(415, "unsupported_media_type", "the body may be packed with gzip only")


async def _read(request: Request, most: int) -> bytes:
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > most:
        raise _too_large(most)
    chunks: list[bytes] = []
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > most:
                raise _too_large(most)
            chunks.append(chunk)
    except ClientDisconnect:
        raise ApiError(400, "incomplete_body", "the connection was closed before the body was complete") from None
    return b"".join(chunks)


def _unpack(packed: bytes, most: int) -> bytes:
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        body = unpacker.decompress(packed, most + 1)
    except zlib.error:
        raise ApiError(400, "invalid_gzip", "the body is not valid gzip") from None
    if len(body) > most:
        raise _too_large(most)
    if not unpacker.eof:
        raise ApiError(400, "invalid_gzip", "the body is not complete")
    return body


def _too_large(most: int) -> ApiError:
    return ApiError(413, "body_too_large", f"the body must be at most {most} bytes", headers={"connection": "close"})


def parse_json_object(body: bytes, content_type: str | None) -> dict[str, Any]:
    """The JSON object in the body; an empty body is an empty object.

    Raises:
        ApiError: 400, it is no JSON; 415, it says that it is something else; 422, it is no object.
    """
    if not body.strip():
        return {}
    if content_type and not _JSON.match(content_type):
        raise ApiError(415, "unsupported_media_type", "the body must be application/json")
    try:
        value = from_json(body, allow_inf_nan=False, cache_strings="keys")
    except ValueError:
        raise ApiError(400, "invalid_json", "the body is not valid JSON in UTF-8") from None
    if not isinstance(value, dict):
        raise ApiError(422, "invalid_params", "the body must be a JSON object")
    return value


def check_shape(value: dict[str, Any], shape: TypeAdapter[Any]) -> dict[str, Any]:
    """The value, if it has the shape.

    Raises:
        ApiError: 422 with everything that is wrong.
    """
    try:
        checked: dict[str, Any] = shape.validate_python(value, strict=True)
    except ValidationError as error:
        raise invalid(list(problems_of(error))) from None
    return checked
