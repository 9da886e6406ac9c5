"""All endpoints."""

from __future__ import annotations

from typing import Final

from rollbook_server.api import (
    bulk,
    channel_data,
    dead_letters,
    deliveries,
    explanations,
    feed_events,
    feeds,
    jobs,
    measurements,
    messages,
    preferences,
    users,
    workflows,
)
from rollbook_server.routes import ApiRoute

ENDPOINTS: Final[tuple[ApiRoute, ...]] = (
    *bulk.ENDPOINTS,
    *explanations.ENDPOINTS,
    *users.ENDPOINTS,
    *preferences.ENDPOINTS,
    *channel_data.ENDPOINTS,
    *messages.ENDPOINTS,
    *feeds.ENDPOINTS,
    *feed_events.ENDPOINTS,
    *workflows.ENDPOINTS,
    *deliveries.ENDPOINTS,
    *jobs.ENDPOINTS,
    *dead_letters.ENDPOINTS,
    *measurements.ENDPOINTS,
)
"""In the order of matching: fixed paths before those with a placeholder in the same place."""
