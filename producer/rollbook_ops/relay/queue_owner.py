"""Whether the queues in Redis belong to the database in which the relay looks up what is finished."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from rollbook.publishing.redis import ANSWER_SECONDS, BROKER_FAILURES, CONNECT_SECONDS
from rollbook_shared.broker_url import parse_broker_url
from rollbook_shared.database.schema import DEFAULT_SCHEMA
from rollbook_shared.database.store_id import read_store_id
from rollbook_shared.errors import NotConfigured, RollbookError
from rollbook_shared.queue_owner import describe_foreign_owner, find_owner

EVERY_SECONDS: Final = 5.0


class QueueOwnerCheck:
    """Compares the store id beside the queues with that of the database, every few seconds while jobs are sent.

    A server that is away is no finding. Sending says so of Redis, and needs no database.
    """

    def __init__(
        self,
        broker_url: str,
        database_url: str,
        schema: str = DEFAULT_SCHEMA,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._endpoints = parse_broker_url(broker_url)
        self._database_url = database_url
        self._schema = schema
        self._clock = clock
        self._next = clock()

    def check(self) -> None:
        """Compare, unless that was done in the last seconds.

        Raises:
            NotConfigured: the queues belong to another database.
        """
        if self._clock() < self._next:
            return
        owner, store_id = self._find_owner(), None
        if owner is not None:
            with suppress(RollbookError):
                store_id = read_store_id(self._database_url, self._schema)
        if owner is not None and store_id is not None and owner != store_id:
            raise NotConfigured(f"sending no jobs: {describe_foreign_owner(owner, store_id)}")
        self._next = self._clock() + EVERY_SECONDS

    def _find_owner(self) -> str | None:
        for endpoint in self._endpoints:
            with (
                suppress(*BROKER_FAILURES),
                endpoint.client(connect_seconds=CONNECT_SECONDS, answer_seconds=ANSWER_SECONDS) as client,
            ):
                return find_owner(client)
        return None
