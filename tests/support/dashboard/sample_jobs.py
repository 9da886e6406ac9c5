"""Some of what happens in a day, for the dashboard to show."""

from __future__ import annotations

import json
from typing import Final

import psycopg
from celery import Celery
from tests.support.waits import DEADLINE_SECONDS, wait_until

from rollbook import Rollbook
from rollbook_shared.jobs.routing import DEFAULT_QUEUE, TASKS

MARK: Final = "marked-4711"
"""Stands for all that is personal: nobody who looks may see it."""
ANN: Final = f"{MARK}-ann@example.com"
BO: Final = f"{MARK}-bo@example.com"
GUEST: Final = f"{MARK}-guest"
PUT_OFF_SECONDS: Final = 0.2
"""How long the worker waits for a lock, for there to be a job that is tried again."""


def play(rb: Rollbook) -> None:
    """Tell of people, of one in each way; return when all is decided."""
    jobs = [
        rb.users.identify(ANN, {"email": ANN, "name": MARK, "plan": "pro", "locale": "de-CH"}, job_id="sign-up-1"),
        rb.users.identify(GUEST, {"cart": {"items": [MARK]}}, job_id="cart-1"),
        rb.users.bulk_identify([{"id": f"{MARK}-{n}", "name": MARK} for n in range(80)], job_id="import-1"),
    ]
    for job in jobs:
        job.wait(DEADLINE_SECONDS)
    rb.users.set_preferences(ANN, "default", {"workflows": {"news": False}}, job_id="wishes-1").wait(DEADLINE_SECONDS)
    rb.users.set_channel_data(ANN, "apns", {"tokens": [MARK]}, job_id="device-1").wait(DEADLINE_SECONDS)
    inline = {"id": BO, "name": MARK}
    rb.workflows.trigger("welcome", [ANN, inline], data={"note": MARK}, job_id="welcome-1").wait(DEADLINE_SECONDS)
    rb.users.merge(ANN, GUEST, job_id="login-1").wait(DEADLINE_SECONDS)
    rb.users.delete(f"{MARK}-7", job_id="goodbye-1").wait(DEADLINE_SECONDS)
    # sent twice, as a webhook is
    rb.users.identify(GUEST, {"cart": {"items": [MARK]}}, job_id="again-1").wait(DEADLINE_SECONDS)
    rb.users.identify(GUEST, {"cart": {"items": [MARK]}}, job_id="again-1")


def send_what_dies(rb: Rollbook, broker_url: str) -> None:
    """A job under an id that was used for another, one of a version to come, and a message that is no job; return
    when they are dead letters.
    """
    before = len(rb.jobs.list_dead_letters().items)
    rb.users.identify(ANN, {"plan": MARK}, job_id="sign-up-1")
    job = {"v": 9, "kind": "identify", "id": "tomorrow-1", "occurred_at": 5, "user": {"id": MARK, "traits": {}}}
    with Celery(broker=broker_url, set_as_current=False) as stranger:
        options = {"queue": DEFAULT_QUEUE, "ignore_result": True}
        stranger.send_task(TASKS["identify"], args=[json.dumps(job)], task_id="tomorrow-1", **options)
        stranger.send_task("somebody.elses", args=[MARK], **options)
    wait_until(lambda: len(rb.jobs.list_dead_letters().items) == before + 3, what="three dead letters")


class Hindered:
    """While it lasts no job can be applied: another transaction holds what they need."""

    def __init__(self, database_url: str) -> None:
        self._connection = psycopg.connect(database_url)

    def __enter__(self) -> None:
        self._connection.execute("LOCK TABLE rollbook.users IN ACCESS EXCLUSIVE MODE")

    def __exit__(self, *_: object) -> None:
        self._connection.close()
