"""All that readers, the doctor and the relay say of one history: a session's settings must not change any of it."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from tests.support.builders import (
    DAY,
    NOW,
    bulk_identify,
    delete,
    identify,
    mark_all,
    merge,
    set_preferences,
    trigger,
    user,
)

from rollbook import Rollbook
from rollbook_ops.demo.demo_database import DemoDatabase
from rollbook_ops.demo.postgres_world import read_world
from rollbook_ops.doctor.outbox import examine_outbox
from rollbook_ops.doctor.postgres import examine_postgres
from rollbook_ops.relay.finished_jobs import FinishedJobs
from rollbook_ops.relay.job_key import JobKey
from rollbook_ops.relay.outbox_table import OutboxTable
from rollbook_shared.database.schema import DEFAULT_SCHEMA
from rollbook_shared.database.session import make_session, open_session
from rollbook_shared.database.shared_sessions import transaction
from rollbook_shared.database.timeouts import timeout_connection
from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Job
from rollbook_shared.settings import Settings
from rollbook_worker.migrations.runner import migrate
from rollbook_worker.store import PostgresStore, ReceivedJob

BORN = "2024-02-29T23:59:59.999999+05:45"
NAME = "Zoë 山田 🎉 \\ ' %"


def history() -> list[Job]:
    return [
        identify("zoë", at=1, job="first", name=NAME, email="Zoe@Example.com", created_at=BORN),
        identify("zoë", at=2, job="second", plan="pro", nothing=None, score=0.1 + 0.2),
        bulk_identify(user("guest", cart={"items": 2}), user("bo", name="Bo"), at=2),
        set_preferences("bo", "default", {"workflows": {"news": False}}, at=2),
        trigger("hello", ["zoë", "guest", "nobody"], actor="bo", at=3),
        trigger("news", ["bo"], at=3, plus=1),
        merge("zoë", "guest", at=4, job="merge"),
        mark_all("zoë", "seen", at=5, job="seen"),
        identify("gone", at=5, name="Gone"),
        delete("gone", at=6),
        identify("later", at=301, job="due"),
        identify("never", at=400, job="never"),
        identify("drop", at=401, job="cancelled"),
    ]


def prepare(url: str, schema: str = DEFAULT_SCHEMA) -> None:
    """Make the tables, and an outbox beside them."""
    migrate(url, schema=schema)
    table = OutboxTable(url, schema)
    table.create()
    table.close()


def all_answers(url: str, *, schema: str = DEFAULT_SCHEMA, direct_url: str | None = None) -> dict[str, Any]:
    """Apply the history through this URL, run what maintenance and a relay do, and read everything.

    direct_url: the database without a pooler, for what needs a session of its own.
    """
    answers: dict[str, Any] = {}
    store = PostgresStore(url, schema=schema)
    received = [ReceivedJob.of(encode(job)) for job in history()]
    answers["outcomes"] = store.apply([*received, ReceivedJob.of("nö job")], now=NOW)
    answers["again"] = store.apply(received, now=NOW)
    answers["released"] = store.dispatcher.release_due(now=NOW + 2 * DAY)
    cleanup = store.cleanup
    answers["erased"] = cleanup.erase_deleted_users(now=NOW), cleanup.erase_unowned_history(now=NOW)
    answers["pruned"] = cleanup.prune_jobs(now=NOW + DAY), cleanup.compact_identify_log(now=NOW)
    store.close()
    with Rollbook(database_url=url, schema=schema) as rb:
        answers["reads"] = _reads(rb)
        answers["cancelled"] = rb.jobs.cancel("cancelled"), rb.jobs.get("cancelled").state
        (dead,) = rb.jobs.list_dead_letters().items
        answers["dead"] = dead, rb.jobs.get_dead_letter(dead.id).body, rb.jobs.drop(dead.id)
    demo = DemoDatabase(direct_url or url, schema)
    answers["world"] = read_world(demo)
    demo.close()
    settings = Settings(database_url=url, schema=schema)
    found = [*examine_postgres(settings, time.time), *examine_outbox(settings)]
    answers["doctor"] = [(finding.name, finding.level) for finding in found]
    answers["relay"] = _relay(url, schema)
    return answers


def _reads(rb: Rollbook) -> dict[str, Any]:
    return {
        "user": rb.users.get("zoë"),
        "users": rb.users.list(sort="-created_at").items,
        "found": rb.users.find(email="zoe@example.COM"),
        "count": rb.users.count(),
        "preferences": rb.users.list_preferences("bo"),
        "feed": rb.feeds.list("zoë"),
        "messages": rb.messages.list("zoë").items,
        "activities": rb.activities.list("zoë").items,
        "job": rb.jobs.wait("first", timeout=0),
        "jobs": rb.jobs.list(user_id="zoë").items,
        "deferred": rb.jobs.list_deferred().items,
        "preview": rb.users.merge("zoë", "bo", dry_run=True),
        "export": rb.users.export("zoë"),
    }


def _relay(url: str, schema: str) -> Any:
    application = make_session(url, application_name="an application", schema=schema, uses_own_search_path=True)
    with (
        open_session(application, timeout_connection(timedelta(seconds=30))) as connection,
        transaction(connection, "ISOLATION LEVEL READ COMMITTED READ WRITE"),
    ):
        Rollbook(schema=schema).outbox(connection).users.identify("zoë", {"name": NAME}, job_id="first")
    table, finished = OutboxTable(url, schema), FinishedJobs(url, schema)
    with table.transaction() as outbox:
        jobs = outbox.claim_unsent()
        outbox.mark_sent(jobs, first_check=timedelta())
    with table.transaction() as outbox:
        keys = outbox.claim_sent()
        bodies = outbox.read_bodies(keys)
        known = finished.among([*keys, JobKey("due", b"")], outbox.read_bodies)
        resent = outbox.reschedule(keys, first_check=timedelta(), resend=timedelta())
        outbox.remove(keys)
    table.close()
    finished.close()
    return [key.id for key in jobs], [NAME in body for body in bodies.values()], known, resent
