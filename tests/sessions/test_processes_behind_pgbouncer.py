"""Workers, maintenance, a relay, a server and senders share the few sessions of a PgBouncer, and nothing goes wrong.

Their Rollbook is in another schema than the default one: a session that others use, too, leads to none.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import httpx
import psycopg
import pytest
from tests.support.databases import OTHER_SCHEMA, Databases
from tests.support.python_processes import spawn_python
from tests.support.sessions.pgbouncer import PgBouncer, needs_pgbouncer, running_pgbouncer
from tests.support.waits import DEADLINE_SECONDS, wait_until
from tests.support.worker_processes import Workers

from rollbook import Rollbook
from rollbook_ops.demo.api_calls import send_job
from rollbook_ops.demo.demo_database import DemoDatabase
from rollbook_ops.demo.postgres_world import read_world
from rollbook_ops.devstack import Servers, processes
from rollbook_ops.devstack.endpoint import free_port
from rollbook_ops.relay.outbox_table import OutboxTable
from rollbook_shared.database.schema import in_schema
from rollbook_shared.reference.differences import difference
from rollbook_shared.reference.generator import generate_jobs
from rollbook_shared.reference.oracle import oracle

pytestmark = needs_pgbouncer

SESSIONS: Final = 4
"""For two workers of four threads, maintenance, the relay and the server: about twenty connections."""
REGISTRY: Final = '[channels.mail]\ntype = "email"\ndelivery = "claim"\n'
TRIGGERS: Final = 20
SECRET_KEY: Final = "sk_test_0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def pooler(servers: Servers) -> Iterator[PgBouncer]:
    with running_pgbouncer(servers.database_url, pool_size=SESSIONS) as pooler:
        yield pooler


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    path = tmp_path / "registry.toml"
    path.write_text(REGISTRY)
    return path


@pytest.mark.slow
def test_all_processes_do_what_they_do_without_it(
    pooler: PgBouncer,
    databases_elsewhere: Databases,
    backend_url: str,
    broker_url: str,
    registry: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    direct_url = databases_elsewhere.lend()
    url = pooler.before(direct_url)
    settings = {
        "ROLLBOOK_DATABASE_URL": url,
        "ROLLBOOK_SCHEMA": OTHER_SCHEMA,
        "ROLLBOOK_OUTBOX_URL": pooler.before(backend_url),
        "ROLLBOOK_BROKER_URL": broker_url,
        "ROLLBOOK_REGISTRY": str(registry),
        "ROLLBOOK_OUTBOX_KEEP_SECONDS": "0",
        # the jobs of 45 days arrive in another order
        "ROLLBOOK_ERASURE_DELAY_HOURS": "2000",
        "ROLLBOOK_SECRET_KEYS": SECRET_KEY,
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    history = generate_jobs(seed=11, users=25, jobs=500, now=time.time_ns() // 1_000)
    with ExitStack() as undo:
        undo.callback(databases_elsewhere.take_back, direct_url)
        OutboxTable(backend_url, OTHER_SCHEMA).create()
        workers = Workers(url, broker_url, tmp_path, schema=OTHER_SCHEMA)
        undo.callback(workers.stop)
        started = [workers.start(name) for name in ("first", "second")]
        started.append(workers.start_maintenance())
        port = free_port()
        for name, command in (("relay", ["relay"]), ("server", ["serve", "--port", str(port)])):
            process = spawn_python(["-m", "rollbook_ops.cli", *command], log=tmp_path / f"{name}.log", env=os.environ)
            undo.callback(processes.stop, process, by=signal.SIGKILL)
            started.append(process)

        with Rollbook(database_url=url, broker_url=broker_url, schema=OTHER_SCHEMA, registry=str(registry)) as rb:
            with psycopg.connect(pooler.before(backend_url), prepare_threshold=None) as backend:
                outbox = rb.outbox(backend)
                for job in history.jobs[::2]:
                    send_job(outbox, job)
            for job in history.jobs[1::2]:
                send_job(rb, job)
            for number in range(TRIGGERS):
                rb.workflows.trigger("hello", [{"id": f"new-{number}", "email": "a@example.com"}], channels=["email"])
            sent = len(history.jobs) + TRIGGERS
            wait_until(lambda: count(direct_url, "rollbook.jobs") == sent, what="every job applied")
            wait_until(lambda: count(backend_url, "rollbook_outbox") == 0, what="the relay's jobs finished")
            handed_over = [d.recipient["id"] for d in rb.deliveries.claim_each("mail", limit=7, idle=0)]
            feed = rb.feeds.list("new-1")
            later = rb.users.identify("later", {"n": 1}, delay=0.5)
            wait_until(lambda: rb.jobs.get(later.id).state == "applied", what="maintenance releasing a job")
            dead = count(direct_url, "rollbook.dead_letters")

        assert sorted(handed_over) == sorted(f"new-{number}" for number in range(TRIGGERS))
        assert feed.total == 0  # they were sent by e-mail
        assert dead == 0
        assert [process.poll() for process in started] == [None] * len(started)
        read = httpx.get(
            f"http://127.0.0.1:{port}/v1/users/new-1",
            headers={"Authorization": f"Bearer {SECRET_KEY}"},
            timeout=DEADLINE_SECONDS,
        )
        assert read.json()["email"] == "a@example.com"
        demo = DemoDatabase(direct_url, OTHER_SCHEMA)
        world = read_world(demo)
        demo.close()
    added = {user_id for user_id in world["users"] if user_id.startswith(("new-", "later"))}
    assert len(added) == TRIGGERS + 1
    for user_id in added:
        del world["users"][user_id]
    for section in (world["messages"], world["activities"]):
        for id_ in [id_ for id_, row in section.items() if row["owner"] in added]:
            del section[id_]
    assert difference(oracle(history.jobs), world, history.jobs) is None


def count(url: str, table: str) -> int:
    with psycopg.connect(url) as connection:
        counting = in_schema(f"SELECT count(*) FROM {table}", OTHER_SCHEMA)
        (number,) = connection.execute(counting.encode()).fetchone() or (0,)
        return int(number)
