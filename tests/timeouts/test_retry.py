"""One module decides what is retried, by the kind of error."""

from __future__ import annotations

import ast
from pathlib import Path
from random import Random

import psycopg
import pytest
from psycopg import errors

import rollbook_worker
from rollbook_shared.database.timeouts import ResponseTimeout
from rollbook_worker.store.retry import RETRY, Fault, fault_of, unavailable


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (errors.DeadlockDetected(), Fault.ANOTHER_TRANSACTION),
        (errors.SerializationFailure(), Fault.ANOTHER_TRANSACTION),
        (errors.LockNotAvailable(), Fault.INFRASTRUCTURE),
        (errors.QueryCanceled(), Fault.INFRASTRUCTURE),
        (errors.AdminShutdown(), Fault.INFRASTRUCTURE),
        (errors.DiskFull(), Fault.INFRASTRUCTURE),
        (errors.OutOfMemory(), Fault.INFRASTRUCTURE),
        (errors.TooManyConnections(), Fault.INFRASTRUCTURE),
        (errors.InsufficientPrivilege(), Fault.INFRASTRUCTURE),
        (errors.UndefinedTable(), Fault.INFRASTRUCTURE),
        (errors.ReadOnlySqlTransaction(), Fault.INFRASTRUCTURE),
        (psycopg.OperationalError(), Fault.INFRASTRUCTURE),
        (psycopg.InterfaceError(), Fault.INFRASTRUCTURE),
        (ResponseTimeout(), Fault.INFRASTRUCTURE),
        (errors.UntranslatableCharacter(), Fault.JOB),
        (errors.NumericValueOutOfRange(), Fault.JOB),
        (errors.ProgramLimitExceeded(), Fault.JOB),
        (RecursionError(), Fault.JOB),
        (KeyError("x"), Fault.JOB),
    ],
)
def test_an_error_is_the_fault_of_the_job_or_of_the_infrastructure(error: Exception, fault: Fault) -> None:
    assert fault_of(error) is fault


@pytest.mark.parametrize(("retries", "most"), [(0, 0.5), (1, 1), (2, 2), (6, 32), (7, 60), (1_000, 60)])
def test_the_retry_delay_doubles_up_to_a_minute_with_jitter(retries: int, most: float) -> None:
    pauses = {RETRY.delay(retries, Random(seed)) for seed in range(100)}

    assert len(pauses) == 100
    assert most / 2 <= min(pauses) < 0.6 * most
    assert 0.9 * most < max(pauses) <= most


def test_an_error_does_not_quote_the_server() -> None:
    assert "ann@example.com" not in str(unavailable(errors.DiskFull("could not extend: ann@example.com")))


def test_only_the_retry_module_looks_at_what_postgres_reports() -> None:
    store = Path(rollbook_worker.__file__).parent / "store"

    assert [path.name for path in store.rglob("*.py") if "errors" in _taken_from_psycopg(path)] == ["retry.py"]


def _taken_from_psycopg(path: Path) -> set[str]:
    return {
        alias.name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module == "psycopg"
        for alias in node.names
    }
