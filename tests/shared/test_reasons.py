"""Reasons of failures, without values."""

from __future__ import annotations

import psycopg
import pytest
from kombu.exceptions import OperationalError as KombuError
from psycopg import errors
from redis import exceptions as redis_errors
from sqlalchemy.exc import OperationalError as WrappedError

from rollbook_shared.reasons import safe_reason

INVALID_VALUES = 'connection failed: connection to server at "127.0.0.1", port 1 failed: Connection rejected'


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (redis_errors.ConnectionError("Error 111 connecting to 127.0.0.1:1. Connection rejected."), None),
        (redis_errors.TimeoutError("Timeout reading from socket"), "TimeoutError"),
        (redis_errors.OutOfMemoryError("command not allowed"), "Redis is at its memory limit, and takes no more jobs"),
        (redis_errors.ReadOnlyError("You can't write"), "this Redis is a replica, and takes no jobs"),
        (redis_errors.ResponseError("MISCONF Redis is configured to"), "Redis cannot write to its disk"),
        (redis_errors.ResponseError("NOPERM ann@example.com"), "ResponseError NOPERM"),
        (redis_errors.ResponseError("unknown command ann@example.com"), "ResponseError"),
        (OSError("No route to host"), "No route to host"),
        (psycopg.OperationalError(f"{INVALID_VALUES}\n\tIs the server running?"), INVALID_VALUES),
        (psycopg.OperationalError(), "OperationalError"),
        (psycopg.ProgrammingError("invalid dsn: secret"), "ProgrammingError"),
        (errors.DiskFull("could not extend: ann@example.com"), "DiskFull"),
        (errors.AdminShutdown("terminating connection"), "AdminShutdown"),
        (ValueError("ann@example.com"), "ValueError"),
    ],
)
def test_reason_quotes_no_values(error: Exception, reason: str | None) -> None:
    text = safe_reason(error)

    assert text.startswith(reason or str(error).rstrip("."))
    assert "ann@" not in text
    assert "secret" not in text


def test_reason_is_the_root_cause_under_kombu() -> None:
    wrapped = KombuError("cannot send")
    wrapped.__cause__ = redis_errors.ConnectionError("Connection refused")

    assert safe_reason(wrapped) == "Connection refused"


def test_reason_is_the_root_cause_under_sqlalchemy() -> None:
    wrapped = WrappedError("SELECT 1", {"id": "ann@example.com"}, psycopg.OperationalError(INVALID_VALUES))

    assert safe_reason(wrapped) == INVALID_VALUES
