"""Remembers the idempotency key of each write, so that a request that is sent again has the same job.

A record holds the id and the time of the request's job. A request that arrives again makes the same job of it, which
workers apply once; so nothing is lost if the server dies between the record and the job, and no answer needs to be
kept. Records are kept in the broker's Redis for as long as the status of a finished job is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final, Protocol

from rollbook_server.http.errors import ApiError
from rollbook_shared.broker_keys import IDEMPOTENCY_PREFIX
from rollbook_shared.domain.stamps import datetime_of, microseconds

_MAX_KEY: Final = 255
"""Characters of an idempotency key."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WriteRecord:
    """The job of one request."""

    job_id: str
    occurred_at: datetime
    """In whole microseconds."""
    is_replay: bool = False
    """Whether the request was made before."""


class Redis(Protocol):
    """What is needed of Redis."""

    async def execute(self, *commands: tuple[Any, ...]) -> list[Any]:
        """The answers to the commands, which are sent together."""


class IdempotencyRecords:
    """The records in Redis."""

    def __init__(self, redis: Redis, kept: timedelta) -> None:
        """Prepare.

        redis: the broker's.
        kept: how long a record is kept.
        """
        self._redis = redis
        self._seconds = max(1, int(kept.total_seconds()))

    async def begin(self, key: str, route: str, fingerprint: bytes, make: Callable[[], WriteRecord]) -> WriteRecord:
        """The record of the request with this key: the one that exists, or a new one.

        key: the request's idempotency key.
        route: the endpoint; the same key on another endpoint is another key.
        fingerprint: of the request.
        make: makes the record if there is none.

        Raises:
            ApiError: 422, the key was used for another request; 400, it is too long or empty.
        """
        if not 1 <= len(key) <= _MAX_KEY:
            raise ApiError(400, "invalid_idempotency_key", f"an idempotency key has 1 to {_MAX_KEY} characters")
        new = make()
        name = _name(key, route)
        text = f"{fingerprint.hex()} {microseconds(new.occurred_at)} {new.job_id}".encode()
        _, stored = await self._redis.execute(("SET", name, text, "NX", "EX", self._seconds), ("GET", name))
        if stored is None or bytes(stored) == text:
            return new
        known, time, job_id = bytes(stored).decode().split(" ", 2)
        if known != fingerprint.hex():
            message = "the idempotency key was used for another request; send a new key"
            raise ApiError(422, "idempotency_key_reused", message, headers={"x-should-retry": "false"})
        return WriteRecord(job_id=job_id, occurred_at=datetime_of(int(time)), is_replay=True)

    async def forget(self, key: str, route: str) -> None:
        """Forget the record of an invalid request, so that it may be corrected under the same key."""
        await self._redis.execute(("DEL", _name(key, route)))


def _name(key: str, route: str) -> str:
    return IDEMPOTENCY_PREFIX + sha256(f"{route}\n{key}".encode("utf-8", "surrogatepass")).hexdigest()
