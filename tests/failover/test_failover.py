"""The primary Postgres is killed under load and its replica promoted: every process follows by itself, and what was
answered is still there.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import httpx
import psycopg
import pytest
from tests.support.failover import Pair, running_pair
from tests.support.python_processes import spawn_python
from tests.support.server.running_server import SECRET_KEY
from tests.support.waits import DEADLINE_SECONDS, wait_until
from tests.support.worker_processes import Workers

from rollbook import JobTimeout, NotSent, Rollbook, Unavailable, UserNotFound
from rollbook_ops.devstack import processes
from rollbook_ops.devstack.endpoint import free_port
from rollbook_ops.relay.outbox_table import OutboxTable

USERS: Final = 20
BEFORE: Final = 150
"""Jobs that are answered until the primary is killed, and again until the end."""
TRIES: Final = (JobTimeout, NotSent, Unavailable, UserNotFound)
REGISTRY: Final = '[channels.mail]\ntype = "email"\ndelivery = "claim"\n'


@pytest.fixture(scope="module")
def pair(starts_servers: None) -> Iterator[Pair]:
    with running_pair(is_synchronous=True) as pair:
        yield pair


class Caller(threading.Thread):
    """Sends one job after the other, and waits for the answer of each."""

    def __init__(self, rb: Rollbook, label: str) -> None:
        super().__init__(daemon=True)
        self._rb, self.label = rb, label
        self._stopped = threading.Event()
        self.sent = 0
        self.answered: list[int] = []
        self.gaps: list[float] = []
        """Seconds between two answers."""

    def run(self) -> None:
        last = time.monotonic()
        while not self._stopped.is_set():
            number = self.sent
            self._rb.users.identify(f"{self.label}-{number % USERS}", {"n": number}, job_id=f"{self.label}-{number}")
            self.sent += 1
            while not self._stopped.is_set():
                try:
                    self._rb.jobs.wait(f"{self.label}-{number}", timeout=5)
                    assert self._rb.users.get(f"{self.label}-{number % USERS}").properties["n"] == number
                except TRIES:
                    self._stopped.wait(0.05)
                else:
                    self.answered.append(number)
                    now = time.monotonic()
                    self.gaps.append(now - last)
                    last = now
                    break

    def stop(self) -> None:
        self._stopped.set()
        self.join()


@pytest.mark.slow
def test_every_process_follows_a_promotion_and_nothing_that_was_answered_is_lost(
    pair: Pair, broker_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Any
) -> None:
    registry = tmp_path / "registry.toml"
    registry.write_text(REGISTRY)
    settings = {
        "ROLLBOOK_DATABASE_URL": pair.url,
        "ROLLBOOK_BROKER_URL": broker_url,
        "ROLLBOOK_SECRET_KEYS": SECRET_KEY,
        "ROLLBOOK_REGISTRY": str(registry),
        "ROLLBOOK_OUTBOX_KEEP_SECONDS": "1",
        "ROLLBOOK_OUTBOX_RESEND_SECONDS": "2",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    table = OutboxTable(pair.url)
    table.create()
    table.close()
    with ExitStack() as undo:
        workers = Workers(pair.url, broker_url, tmp_path)
        undo.callback(workers.stop)
        started = [workers.start("first", threads=2), workers.start("second", threads=2), workers.start_maintenance()]
        port = free_port()
        for name, command in (("relay", ["relay"]), ("server", ["serve", "--port", str(port)])):
            process = spawn_python(["-m", "rollbook_ops.cli", *command], log=tmp_path / f"{name}.log", env=os.environ)
            undo.callback(processes.stop, process, by=signal.SIGKILL)
            started.append(process)
        rb = undo.enter_context(Rollbook(database_url=pair.url, broker_url=broker_url, registry=str(registry)))
        callers = [Caller(rb, "one"), Caller(rb, "two")]
        for caller in callers:
            caller.start()
            undo.callback(caller.stop)
        later = rb.users.identify("later", {"n": 1}, delay=3)

        wait_until(lambda: all(len(caller.answered) > BEFORE for caller in callers), what="answers before")
        in_outbox = write_to_outbox(rb, pair)
        triggers = [
            rb.workflows.trigger("hello", [{"id": f"t{n}", "email": "a@b.ch"}], channels=["email"]) for n in range(9)
        ]
        triggers[-1].wait(DEADLINE_SECONDS)
        claimed = list(rb.deliveries.claim("mail", limit=3))
        killed_at = time.monotonic()
        pair.kill_first()
        pair.second.promote()
        promoted = time.monotonic() - killed_at
        enough = {caller: len(caller.answered) + BEFORE for caller in callers}
        wait_until(lambda: all(len(caller.answered) > most for caller, most in enough.items()), what="answers after")
        for each in callers:
            each.stop()
        gap = max(gap for caller in callers for gap in caller.gaps)
        record_property("promoted", promoted)
        record_property("gap", gap)
        print(f"promoted after {promoted:.1f} s; the longest wait for an answer was {gap:.1f} s")

        wait_until(lambda: count(pair.second.url, "rollbook_outbox") == 0, what="the relay's jobs finished")
        sent = sum(caller.sent for caller in callers) + in_outbox + len(triggers) + 1
        wait_until(lambda: count(pair.second.url, "rollbook.jobs") == sent, what="every job finished")
        wait_until(lambda: rb.jobs.get(later.id).state == "applied", what="maintenance releasing a job")
        for each in callers:
            states = {rb.jobs.get(f"{each.label}-{number}").state for number in each.answered}
            assert states == {"applied"}
            newest = {f"{each.label}-{number % USERS}": number for number in range(each.sent)}
            assert {user_id: rb.users.get(user_id).properties["n"] for user_id in newest} == newest
        for delivery in claimed:
            rb.deliveries.sent(delivery)
        rest = [delivery.id for delivery in rb.deliveries.claim_each("mail", idle=0)]
        assert len(claimed) + len(rest) == len(triggers)
        assert count(pair.second.url, "rollbook.dead_letters") == 0
        assert [process.poll() for process in started] == [None] * len(started)
        read = httpx.get(
            f"http://127.0.0.1:{port}/v1/users/later",
            headers={"Authorization": f"Bearer {SECRET_KEY}"},
            timeout=DEADLINE_SECONDS,
        )
        assert read.status_code == 200


def write_to_outbox(rb: Rollbook, pair: Pair) -> int:
    with psycopg.connect(pair.url) as backend:
        for number in range(BEFORE):
            rb.outbox(backend).users.identify(f"outbox-{number % USERS}", {"n": number})
    return BEFORE


def count(url: str, table: str) -> int:
    with psycopg.connect(url) as connection:
        (number,) = connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone() or (0,)
        return int(number)
