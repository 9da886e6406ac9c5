"""One call of the API, as its endpoint sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rollbook_server.access.callers import Caller
from rollbook_server.http.query_params import QueryParams
from rollbook_server.services import Services


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """A request that was authorised, with its body read and checked."""

    services: Services
    caller: Caller
    path: Mapping[str, str]
    """The parameters in the path, decoded."""
    query: QueryParams
    body: dict[str, Any]
    headers: Mapping[str, str]
    fingerprint: bytes
    """A digest of the request: of the same method, path, query, caller and body."""
    route: str
    """Method and path with placeholders: `PUT /v1/users/{user_id}`."""
