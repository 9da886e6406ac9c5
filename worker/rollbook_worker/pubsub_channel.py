"""Publishes to one Pub/Sub channel of the broker's Redis, within a bounded time; a Redis that is away is left alone for
a growing while.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import redis.exceptions

from rollbook_shared.backoff import Backoff
from rollbook_shared.broker_url import parse_broker_url
from rollbook_shared.reasons import safe_reason

ANSWER_SECONDS: Final = 0.1
"""For connecting, and for each answer: a job waits for two at most."""
_BACKOFF: Final = Backoff(first=1.0, longest=30.0)
_FAILURES: Final = (redis.exceptions.RedisError, OSError)


class PubSubChannel:
    """One channel. For one thread at a time."""

    def __init__(
        self, broker_url: str, name: str, *, what: str, logger: logging.Logger, clock: Callable[[], float]
    ) -> None:
        """Prepare to publish; it connects when first needed.

        name: of the channel, which is that of the database of the URL.
        what: what the payloads say, for the log.

        Raises:
            NotConfigured: this is no URL of a Redis.
        """
        self._endpoints = deque(parse_broker_url(broker_url))
        self._name = name
        self._what = what
        self._logger = logger
        self._clock = clock
        self._connection: Any = None
        self._failures = 0
        self._closed_until = 0.0

    def publish(self, payload: bytes) -> int | None:
        """Publish, and return how many listen; None: it was not published."""
        return self.read_answer() if self.send(payload) else None

    def send(self, payload: bytes) -> bool:
        """Send the payload, and do not wait for the answer: `read_answer` must be called before the next one is sent.
        False: it was not sent.
        """
        if self._clock() < self._closed_until:
            return False
        try:
            if self._connection is None:
                self._connection = self._endpoints[0].connect(
                    connect_seconds=ANSWER_SECONDS, answer_seconds=ANSWER_SECONDS
                )
            self._connection.send_command("PUBLISH", self._endpoints[0].pubsub_channel(self._name), payload)
        except _FAILURES as error:
            self._fail(error, pause=True)
            return False
        return True

    def read_answer(self) -> int | None:
        """How many listened to the payload that was sent; None: it was not published."""
        if self._connection is None:
            return None
        try:
            listeners = int(self._connection.read_response())
        except _FAILURES as error:
            # the connection may have broken long ago, so the next payload is sent at once, through another one
            self._fail(error, pause=self._failures > 0)
            return None
        self._failures = 0
        return listeners

    def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()

    def _fail(self, error: BaseException, *, pause: bool) -> None:
        self.close()
        self._endpoints.rotate(-1)  # this server may be away, or a replica now
        if not self._failures:
            self._logger.warning("%s cannot be published: %s; trying again", self._what, safe_reason(error))
        if pause:
            self._closed_until = self._clock() + _BACKOFF.delay(self._failures)
        self._failures += 1
