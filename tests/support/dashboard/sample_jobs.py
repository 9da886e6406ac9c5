"""Jobs of every kind for the dashboard to show."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Final

import psycopg
from celery import Celery
from tests.support.waits import DEADLINE_SECONDS, wait_until

from rollbook import Rollbook
from rollbook_shared.job_states import DeadLetterCode
from rollbook_shared.jobs.celery_task import DEFAULT_QUEUE, TASKS, alias
from rollbook_worker.celery_ext.dead_letters import DEAD_LETTER_TASK

MARK: Final = "marked-4711"
"""The text of everything personal: no page may show it."""
ANN: Final = f"{MARK}-ann@example.com"
BO: Final = f"{MARK}-bo@example.com"
GUEST: Final = f"{MARK}-guest"
GIVEN_UP: Final = tuple(code.value for code in DeadLetterCode if code not in ("malformed", "id_reused"))
"""Codes of dead letters that have the id of their job to themselves."""
LOCK_TIMEOUT_SECONDS: Final = 0.2
"""How long the worker waits for a lock; short, so that a job is retried."""


def send_sample_jobs(rb: Rollbook) -> None:
    """Send a job of each kind, and return when all are finished."""
    jobs = [
        rb.users.identify(ANN, {"email": ANN, "name": MARK, "plan": "pro", "locale": "de-CH"}, job_id="sign-up-1"),
        rb.users.identify(GUEST, {"cart": {"items": [MARK]}}, job_id="cart-1"),
        rb.users.bulk_identify([{"id": f"{MARK}-{n}", "name": MARK} for n in range(80)], job_id="import-1"),
    ]
    for job in jobs:
        job.wait(DEADLINE_SECONDS)
    rb.users.set_preferences(ANN, "default", {"workflows": {"news": False}}, job_id="preferences-1").wait(
        DEADLINE_SECONDS
    )
    rb.users.set_channel_data(ANN, "apns", {"tokens": [MARK]}, job_id="device-1").wait(DEADLINE_SECONDS)
    inline = {"id": BO, "name": MARK}
    rb.workflows.trigger("welcome", [ANN, inline], data={"note": MARK}, job_id="welcome-1").wait(DEADLINE_SECONDS)
    rb.users.merge(ANN, GUEST, job_id="login-1").wait(DEADLINE_SECONDS)
    rb.users.delete(f"{MARK}-7", job_id="goodbye-1").wait(DEADLINE_SECONDS)
    # sent twice, as by a webhook
    rb.users.identify(GUEST, {"cart": {"items": [MARK]}}, job_id="again-1").wait(DEADLINE_SECONDS)
    rb.users.identify(GUEST, {"cart": {"items": [MARK]}}, job_id="again-1")


def send_dead_letters(rb: Rollbook, broker_url: str) -> None:
    """Send a job with a reused id, one of a later version, and a message that is not a job; return when all are
    dead letters.
    """
    before = len(rb.jobs.list_dead_letters().items)
    rb.users.identify(ANN, {"plan": MARK}, job_id="sign-up-1")
    job = {"v": 9, "kind": "identify", "id": "tomorrow-1", "occurred_at": 5, "user": {"id": MARK, "traits": {}}}
    with Celery(broker=broker_url, set_as_current=False) as other_application:
        options = {"queue": DEFAULT_QUEUE, "ignore_result": True}
        other_application.send_task(TASKS["identify"], args=[json.dumps(job)], task_id="tomorrow-1", **options)
        other_application.send_task("other.task", args=[MARK], **options)
    wait_until(lambda: len(rb.jobs.list_dead_letters().items) == before + 3, what="three dead letters")


def send_every_end(rb: Rollbook, broker_url: str) -> None:
    """Send jobs that end in every other way, and return when all have ended."""
    later = {"user_id": ANN, "traits": {"plan": MARK}, "delay": timedelta(days=365)}
    rb.users.identify(**later, job_id="later-1")  # type: ignore[arg-type]
    rb.users.identify(**later, job_id="cancelled-1")  # type: ignore[arg-type]
    wait_until(lambda: rb.jobs.cancel("cancelled-1"), what="the job to cancel")
    rb.users.identify(**later, job_id="cancelled-1")  # type: ignore[arg-type]

    with Celery(broker=broker_url, set_as_current=False) as other_application:

        def send(task: str, *arguments: str, task_id: str) -> None:
            other_application.send_task(task, args=arguments, task_id=task_id, queue=DEFAULT_QUEUE, ignore_result=True)

        job = {"v": 1, "kind": "bulk_identify", "id": "rejected-1", "occurred_at": 5, "users": [{"id": ""}]}
        send(TASKS["bulk_identify"], json.dumps(job), task_id="rejected-1")
        send(TASKS["bulk_identify"], json.dumps(job), task_id="rejected-1")
        job = {"v": 1, "kind": "forget", "id": "unregistered-1", "occurred_at": 5, "user_id": MARK}
        send("rollbook.forget", json.dumps(job), task_id="unregistered-1")
        job = {"v": 9, "kind": "identify", "id": "sign-up-1", "occurred_at": 5}
        send(TASKS["identify"], json.dumps(job), task_id="sign-up-1")
        send(TASKS["identify"], MARK, task_id="no-job-1")
        for code in GIVEN_UP:
            # as the transport publishes a job that it gives up
            send(DEAD_LETTER_TASK, given_up(f"{code}-1"), "a reason", code, task_id=f"dead#{code}")

    ends = {*(f"{code}-1" for code in GIVEN_UP), "sign-up-1", "unregistered-1"}

    def dead() -> list[str]:
        return [dead_letter.id for dead_letter in rb.jobs.list_dead_letters(limit=100).items]

    wait_until(lambda: ends <= {*dead()}, what="the dead letters")
    wait_until(lambda: sum(id_.startswith("unidentified-") for id_ in dead()) == 2, what="those that are no jobs")
    wait_until(lambda: (rb.jobs.get("cancelled-1").duplicates or 0) == 1, what="the second delivery")
    wait_until(lambda: (rb.jobs.get("rejected-1").duplicates or 0) == 1, what="the second delivery")


def given_up(job_id: str) -> str:
    """A message with an identify, as it is in Redis."""
    job = {"v": 1, "kind": "identify", "id": job_id, "occurred_at": 5, "user": {"id": MARK, "traits": {}}}
    headers = {"task": TASKS["identify"], "id": job_id, "argsrepr": f"({alias(MARK)} {{}})", "kwargsrepr": "{}"}
    return json.dumps({"body": json.dumps([[json.dumps(job)], {}, {}]), "headers": headers, "properties": {}})


class LockedUsers:
    """Blocks all jobs within a `with` block: another transaction holds a lock that they need."""

    def __init__(self, database_url: str) -> None:
        self._connection = psycopg.connect(database_url)

    def __enter__(self) -> None:
        self._connection.execute("LOCK TABLE rollbook.users IN ACCESS EXCLUSIVE MODE")

    def __exit__(self, *_: object) -> None:
        self._connection.close()
