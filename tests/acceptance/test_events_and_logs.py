"""Flower, events and logs show what happened to which job, and no personal data."""

from __future__ import annotations

from tests.support.event_listener import EventListener
from tests.support.waits import DEADLINE_SECONDS, wait_until
from tests.support.worker_processes import Workers

from rollbook import Rollbook
from rollbook_shared.jobs.celery_task import alias

MARKED = "marked-4711"


def test_events_and_logs_show_jobs_without_personal_data(rb: Rollbook, workers: Workers, broker_url: str) -> None:
    workers.start()
    with EventListener(broker_url) as listener:
        user = f"{MARKED}@example.com"
        rb.users.identify(user, {"email": user, "name": MARKED, "plan": MARKED}, job_id="job-seen").wait(
            DEADLINE_SECONDS
        )
        rb.users.set_preferences(user, "default", {"workflows": {MARKED: False}}).wait(DEADLINE_SECONDS)
        rb.workflows.trigger("hello", [user, {"id": f"{MARKED}-2", "name": MARKED}], data={"note": MARKED}).wait(
            DEADLINE_SECONDS
        )
        rb.users.merge(user, from_user_id=f"{MARKED}-2").wait(DEADLINE_SECONDS)
        rb.users.delete(user).wait(DEADLINE_SECONDS)

        wait_until(
            lambda: sum(event["type"] == "task-succeeded" for event in listener.events) >= 5, what="five successes"
        )

    events = listener.events
    assert MARKED not in repr(events)
    assert MARKED not in workers.log()
    (received,) = [event for event in events if event["type"] == "task-received" and event["uuid"] == "job-seen"]
    assert received["name"] == "rollbook.identify"
    assert alias(user) in received["args"]
    assert "plan" in received["args"]
    assert any(event.get("result") == "'applied'" for event in events)
