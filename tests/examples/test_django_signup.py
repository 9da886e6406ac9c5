"""A sign-up over HTTP reaches Rollbook through `transaction.on_commit`."""

from __future__ import annotations

from pathlib import Path

from tests.support.examples.backends import Running
from tests.support.waits import DEADLINE_SECONDS, wait_until
from tests.support.worker_processes import Workers


def test_a_sign_up_is_a_user(running: Running, workers: Workers, tmp_path: Path) -> None:
    file = str(tmp_path / "application.sqlite3")
    assert (
        running.start(tmp_path / "migrate.log", "django_signup.py", "migrate", DATABASE_FILE=file).wait(
            DEADLINE_SECONDS
        )
        == 0
    )
    backend = running.backend(
        lambda port: ("django_signup.py", "runserver", "--noreload", f"127.0.0.1:{port}"), DATABASE_FILE=file
    )

    status, account = backend.post("/sign-up", {"email": "ann@example.com", "name": "Ann"})

    assert status == 201
    wait_until(lambda: backend.get(f"/users/{account['id']}").status == 200, what="the user in Rollbook")
    _, user = backend.get(f"/users/{account['id']}")
    assert user == {"id": account["id"], "email": "ann@example.com", "name": "Ann", "properties": {"plan": "free"}}
    assert backend.post("/sign-up", {"email": "ann@example.com", "name": "Eve"}).status == 409
