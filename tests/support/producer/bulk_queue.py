"""The users in the queue of bulk jobs."""

from __future__ import annotations

import json

from tests.support.brokers import connect_to_broker

from rollbook_shared.jobs.celery_task import BULK_QUEUE
from rollbook_shared.jobs.codec import decode
from rollbook_shared.jobs.models import BulkIdentify, UserUpdate


def queued_users(broker_url: str) -> list[str]:
    """The ids of the users that wait in the queue, sorted; each as often as it is there."""
    with connect_to_broker(broker_url) as client:
        messages = [json.loads(message) for message in client.lrange(BULK_QUEUE, 0, -1)]
    jobs = [decode(json.loads(message["body"])[0][0]) for message in messages]
    users = [user for job in jobs if isinstance(job, BulkIdentify) for user in job.users]
    return sorted(user.id for user in users if isinstance(user, UserUpdate))
