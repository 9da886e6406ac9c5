"""Errors of a server that no part of a command expected."""

from __future__ import annotations

import sys
from typing import Final

_CLASSES: Final = (
    ("psycopg", "Error"),
    ("sqlalchemy.exc", "DBAPIError"),
    ("redis.exceptions", "RedisError"),
    ("kombu.exceptions", "OperationalError"),
)


def is_server_error(error: BaseException) -> bool:
    """Return whether a Postgres or a Redis, or the way there, failed. Imports no driver: an error of it has done so."""
    return any(
        (module := sys.modules.get(name)) is not None and isinstance(error, getattr(module, class_name))
        for name, class_name in _CLASSES
    )
