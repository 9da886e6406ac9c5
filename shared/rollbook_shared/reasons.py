"""Why a server failed us, in words that may stand in errors, logs and spans."""

from __future__ import annotations

import re
from typing import Final

_REJECTED_BY_POOLER: Final = re.compile(r"unsupported startup parameter[ \w]{0,20}:? ?\w{0,40}")


def safe_reason(error: BaseException) -> str:
    """What caused `error`, without values: neither a password of a URL nor anything of a job.

    A failure to connect keeps its text, which names the host. Of anything that a server answered only our own words,
    or the class, and the code of Redis' answer: the text may quote the job or a statement's values.
    """
    cause = _root(error)
    if hasattr(cause, "sqlstate"):
        return _reason_of_postgres(cause)
    if any(kind.__module__ == "redis.exceptions" for kind in type(cause).__mro__):
        return _reason_of_redis(cause)
    if isinstance(cause, OSError) and (text := _first_line(cause)):
        return text
    return type(cause).__name__


def rejected_by_pooler(error: BaseException) -> str | None:
    """What a connection pooler said that does not pass a session's settings on to Postgres; None: another failure."""
    found = _REJECTED_BY_POOLER.search(str(_root(error)))
    return found[0] if found else None


def _root(error: BaseException) -> BaseException:
    """The driver's own error: kombu wraps it as a cause, SQLAlchemy as `orig`."""
    while not hasattr(error, "sqlstate") and (cause := getattr(error, "orig", None) or error.__cause__) is not None:
        error = cause
    return error


def _reason_of_redis(error: BaseException) -> str:
    # Imported here, where it is already loaded: it takes a quarter of a second, and reads from Postgres do not need it.
    from redis import exceptions

    text = _first_line(error)
    match error:
        case exceptions.OutOfMemoryError():
            return "Redis is at its memory limit, and takes no more jobs until workers have taken some"
        case exceptions.ReadOnlyError():
            return "this Redis is a replica, and takes no jobs"
        case exceptions.ResponseError() if text.startswith("MISCONF"):
            return "Redis cannot write to its disk, and takes no jobs"
        case exceptions.ConnectionError() if text:
            return text
        case exceptions.ResponseError() if (code := text.partition(" ")[0]).isupper():
            return f"{type(error).__name__} {code}"
        case _:
            return type(error).__name__


def _reason_of_postgres(error: BaseException) -> str:
    if (said := rejected_by_pooler(error)) is not None:
        return (
            f"a connection pooler such as PgBouncer rejects the session's settings ({said}); this needs the address of "
            "Postgres itself"
        )
    # by name, as a base install has no psycopg; an OperationalError that no server has answered is about connecting
    is_operational = any(kind.__name__ == "OperationalError" for kind in type(error).__mro__)
    connecting = is_operational and getattr(error, "sqlstate", None) is None
    return (connecting and _first_line(error)) or type(error).__name__


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0].rstrip(".")
