"""All calls of the server, from which routing and the OpenAPI document are made."""

from __future__ import annotations

from typing import Final

from rollbook_server import api, ingest
from rollbook_server.routes import ApiRoute

ENDPOINTS: Final[tuple[ApiRoute, ...]] = (*api.ENDPOINTS, *ingest.ENDPOINTS)
