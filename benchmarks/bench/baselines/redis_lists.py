"""Redis alone: one message at a time is pushed to a list and popped again."""

from __future__ import annotations

import time

import redis

KEY = "messages"


def push(client: redis.Redis, body: bytes, count: int) -> float:
    """LPUSH one by one; return messages per second."""
    begin = time.perf_counter()
    for _ in range(count):
        client.lpush(KEY, body)
    return count / (time.perf_counter() - begin)


def pop(client: redis.Redis, count: int) -> float:
    """BLPOP one by one; return messages per second."""
    begin = time.perf_counter()
    for _ in range(count):
        if client.blpop([KEY], timeout=1) is None:
            raise LookupError("the list has fewer messages than were asked for")
    return count / (time.perf_counter() - begin)
