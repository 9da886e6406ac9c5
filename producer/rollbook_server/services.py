"""What all calls share: the client, the registry, the records of idempotency keys and the settings."""

from __future__ import annotations

from dataclasses import dataclass

from rollbook import AsyncRollbook
from rollbook_server.access.keys import Keys
from rollbook_server.feed_contents import FeedContents
from rollbook_server.feed_watch import FeedWatch
from rollbook_server.idempotency import IdempotencyRecords
from rollbook_server.observability.readiness import Readiness
from rollbook_server.observability.recorder import Recorder
from rollbook_server.settings import ServerSettings
from rollbook_shared.limits import Limits
from rollbook_shared.registry import RegistryFile


@dataclass(frozen=True, kw_only=True, slots=True)
class Services:
    """One of each, for the life of the server."""

    client: AsyncRollbook
    limits: Limits
    """Of the client."""
    registry: RegistryFile
    records: IdempotencyRecords
    segment_keys: Keys
    """Write keys of Segment's libraries."""
    settings: ServerSettings
    feeds: FeedWatch
    contents: FeedContents
    readiness: Readiness
    recorder: Recorder
