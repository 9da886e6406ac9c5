"""A sign-up over HTTP reaches Rollbook through the outbox, the relay and a worker."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
from tests.support.examples.backends import Running
from tests.support.waits import DEADLINE_SECONDS, wait_until
from tests.support.worker_processes import Workers

from rollbook import Rollbook


def test_a_sign_up_is_a_user_with_the_guests_history(
    running: Running, workers: Workers, rb: Rollbook, new_database: Callable[[], str]
) -> None:
    outbox_url = new_database()
    backend = running.backend(
        lambda port: ("-m", "uvicorn", "fastapi_signup:app", "--host", "127.0.0.1", "--port", str(port)),
        DATABASE_URL=outbox_url.replace("postgresql:", "postgresql+psycopg:"),
    )
    running.relay(outbox_url)
    rb.users.identify("guest_9", {"theme": "dark"}).wait(DEADLINE_SECONDS)

    status, account = backend.post("/sign-up", {"email": "ann@example.com", "name": "Ann", "guest_id": "guest_9"})

    assert status == 201
    wait_until(lambda: backend.get(f"/users/{account['id']}").status == 200, what="the user in Rollbook")
    wait_until(lambda: waiting(outbox_url) == 0, what="an empty outbox")
    _, user = backend.get(f"/users/{account['id']}")
    assert (user["email"], user["name"]) == ("ann@example.com", "Ann")
    assert user["properties"] == {"plan": "free", "theme": "dark"}
    assert backend.get("/users/guest_9").status == 404

    assert backend.post("/sign-up", {"email": "ann@example.com", "name": "Eve"}).status == 409
    assert waiting(outbox_url) == 0


def waiting(url: str) -> int:
    with psycopg.connect(url) as connection:
        (count,) = connection.execute("SELECT count(*) FROM rollbook_outbox").fetchone() or (0,)
        return int(count)
