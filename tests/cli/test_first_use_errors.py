"""The mistakes of a new user end with one line that says what to do."""

from __future__ import annotations

import os
import socket

import pytest
from tests.support.python_processes import run_python

UNREACHABLE = "127.0.0.1:1"
REDIS = f"redis://:secret@{UNREACHABLE}/0"
POSTGRES = f"postgresql://app:secret@{UNREACHABLE}/app"
WORKER = ("-m", "celery", "-A", "rollbook_worker.app", "worker", "-Q", "default", "--pool", "threads")
MIGRATE = ("-m", "rollbook_worker.migrations")
COMMAND = ("-c", "from rollbook_ops.cli import main; main()")


def error_of(*arguments: str, **settings: str) -> str:
    """The last line that a failing command prints."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ROLLBOOK_")}
    done = run_python(*arguments, env=inherited | settings)
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr
    assert "secret" not in done.stdout + done.stderr
    return done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("settings", "missing"),
    [({}, "ROLLBOOK_BROKER_URL"), ({"ROLLBOOK_BROKER_URL": REDIS}, "ROLLBOOK_DATABASE_URL")],
)
def test_a_worker_without_a_url_does_not_start(settings: dict[str, str], missing: str) -> None:
    assert error_of(*WORKER, **settings).startswith(f"rollbook: {missing} is not set")


@pytest.mark.parametrize("url", ["localhost", "mysql://app@localhost/app"])
def test_migrations_reject_a_url_that_is_not_of_postgres(url: str) -> None:
    assert "must be like postgresql://" in error_of(*MIGRATE, ROLLBOOK_DATABASE_URL=url)


def test_migrations_name_a_postgres_that_is_not_available() -> None:
    error = error_of(*MIGRATE, ROLLBOOK_DATABASE_URL=POSTGRES)

    assert 'could not be migrated: connection failed: connection to server at "127.0.0.1", port 1' in error


def test_a_read_names_a_postgres_that_is_not_available() -> None:
    error = error_of(*COMMAND, "users", "get", "ann", ROLLBOOK_DATABASE_URL=POSTGRES)

    assert 'could not be reached or did not answer: connection failed: connection to server at "127.0.0.1"' in error


def test_a_write_names_a_redis_that_is_not_available() -> None:
    error = error_of(*COMMAND, "users", "delete", "ann", ROLLBOOK_BROKER_URL=REDIS)

    assert "may not have been sent (Error" in error
    assert f"connecting to {UNREACHABLE}" in error
    assert "sending it again under this id is safe" in error


def test_a_server_whose_port_is_in_use_says_so_and_claims_nothing_else() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        error = error_of(
            *COMMAND,
            *("serve", "--port", str(port)),
            ROLLBOOK_BROKER_URL=REDIS,
            ROLLBOOK_DATABASE_URL=POSTGRES,
            ROLLBOOK_SECRET_KEYS="7" * 64,
        )

    assert error.startswith(f"rollbook: cannot listen on 127.0.0.1, port {port}: Address already in use; choose others")


def test_a_server_whose_host_is_unknown_says_so() -> None:
    error = error_of(
        *COMMAND,
        *("serve", "--host", "no-such-host.invalid"),
        ROLLBOOK_BROKER_URL=REDIS,
        ROLLBOOK_DATABASE_URL=POSTGRES,
        ROLLBOOK_SECRET_KEYS="7" * 64,
    )

    assert error.startswith("rollbook: cannot listen on no-such-host.invalid, port 8787: ")


def test_flower_whose_port_is_in_use_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        error = error_of(
            *("-m", "rollbook_worker.dashboard", "--address=127.0.0.1", f"--port={port}"), ROLLBOOK_BROKER_URL=REDIS
        )

    assert error == "rollbook: Flower cannot listen: Address already in use; choose another --port or --address"
