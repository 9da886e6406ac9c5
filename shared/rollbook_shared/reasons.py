"""Why a server failed us, in words that may stand in errors, logs and spans."""

from __future__ import annotations

from redis import exceptions as redis_errors


def safe_reason(error: BaseException) -> str:
    """What caused `error`, without values: neither a password of a URL nor anything of a job.

    A failure to connect keeps its text, which names the host. Of anything that a server answered only our own words,
    or the class, and the code of Redis' answer: the text may quote the job or a statement's values.
    """
    cause = _root(error)
    if hasattr(cause, "sqlstate"):
        return _reason_of_postgres(cause)
    text = _first_line(cause)
    match cause:
        case redis_errors.OutOfMemoryError():
            return "Redis is at its memory limit, and takes no more jobs until workers have taken some"
        case redis_errors.ReadOnlyError():
            return "this Redis is a replica, and takes no jobs"
        case redis_errors.ResponseError() if text.startswith("MISCONF"):
            return "Redis cannot write to its disk, and takes no jobs"
        case redis_errors.ConnectionError() | OSError() if text:
            return text
        case redis_errors.ResponseError() if (code := text.partition(" ")[0]).isupper():
            return f"{type(cause).__name__} {code}"
        case _:
            return type(cause).__name__


def _root(error: BaseException) -> BaseException:
    """The driver's own error: kombu wraps it as a cause, SQLAlchemy as `orig`."""
    while not hasattr(error, "sqlstate") and (cause := getattr(error, "orig", None) or error.__cause__) is not None:
        error = cause
    return error


def _reason_of_postgres(error: BaseException) -> str:
    # by name, as a base install has no psycopg; an OperationalError that no server has answered is about connecting
    is_operational = any(kind.__name__ == "OperationalError" for kind in type(error).__mro__)
    connecting = is_operational and getattr(error, "sqlstate", None) is None
    return (connecting and _first_line(error)) or type(error).__name__


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0].rstrip(".")
