"""Jobs that still wait at the end of a run are found at every place."""

from __future__ import annotations

import psycopg
from benchmarks.chaos.unfinished_jobs import waiting_in_outbox, waiting_in_redis
from tests.support.brokers import connect_to_broker
from tests.support.builders import identify
from tests.support.transport.consumers import Consumer
from tests.support.transport.harness import envelope

from rollbook import Rollbook
from rollbook.outbox import create_table
from rollbook_shared.jobs.celery_task import BULK_QUEUE, DEFAULT_QUEUE
from rollbook_shared.jobs.codec import encode


def test_jobs_in_queues_and_in_flight_are_counted(broker_url: str) -> None:
    one, two, three = (encode(identify(id_, at=1, job=id_)) for id_ in ("one", "two", "three"))
    with connect_to_broker(broker_url) as client:
        client.lpush(DEFAULT_QUEUE, envelope(one), envelope(two), envelope(one), envelope("no job"), b"no message")
        client.lpush(BULK_QUEUE, envelope(one))
        client.lpush("dead_letters", envelope(three))
        with Consumer(broker_url, (DEFAULT_QUEUE,), prefetch=2) as worker:
            assert worker.take(2) == [one, two]

            assert waiting_in_redis(client) == {"one": 3, "two": 1, "three": 1}


def test_jobs_in_the_outbox_are_found(database_url: str) -> None:
    with psycopg.connect(database_url) as application:
        create_table(application.execute)
        Rollbook().outbox(application).users.identify("ann", {}, job_id="kept")

        assert waiting_in_outbox(application) == {"kept"}
