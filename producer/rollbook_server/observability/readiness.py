"""Whether the server can serve: whether Redis and Postgres answer it.

A server that is not ready still answers: reads without Redis, and 503 for the rest. So nothing restarts it, and a
balancer that asks sends its requests to another one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import Final

from rollbook import AsyncRollbook
from rollbook.errors import RollbookError
from rollbook_server.redis import BrokerRedis

ANSWER_SECONDS: Final = 2.0
"""How long each may take; probes wait for a few seconds."""
KEPT_SECONDS: Final = 1.0
"""Everybody may ask. For so long an answer is given again, and nothing is asked."""
_NO_JOB: Final = "rollbook-readiness"


class Readiness:
    """Asks both, at most once a second."""

    def __init__(self, redis: BrokerRedis, client: AsyncRollbook) -> None:
        self._redis = redis
        self._client = client
        self._lock = asyncio.Lock()
        self._away: tuple[str, ...] = ()
        self._asked_at = float("-inf")

    async def missing(self) -> tuple[str, ...]:
        """Which of `redis` and `postgres` do not answer; empty: the server is ready."""
        async with self._lock:
            if time.monotonic() - self._asked_at >= KEPT_SECONDS:
                asked = {
                    "redis": self._redis.execute(("PING",)),
                    "postgres": self._client.jobs.get(_NO_JOB),
                }
                answered = await asyncio.gather(*map(_answers, asked.values()))
                self._away = tuple(name for name, answers in zip(asked, answered, strict=True) if not answers)
                self._asked_at = time.monotonic()
            return self._away


async def _answers(question: Awaitable[object]) -> bool:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await question
    except (RollbookError, TimeoutError):
        return False
    return True
