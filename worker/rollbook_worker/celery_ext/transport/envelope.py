"""Reads what lies in a queue: kombu's envelope around a message."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from pydantic_core import from_json

from rollbook_worker.celery_ext.transport import kombu_internals


def opened(raw: bytes) -> Any:
    """What the envelope holds, as kombu reads it; left to it is text with its marks for types, or that only it takes.

    Raises:
        ValueError: this is no JSON.
    """
    if b"__type__" not in raw:
        with suppress(ValueError):
            return from_json(raw, cache_strings="keys")
    return kombu_internals.loads(raw.decode())
