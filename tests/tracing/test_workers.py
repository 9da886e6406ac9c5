"""A trace from the call to the commit: an application, Redis, and worker processes with their own SDK."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from celery import Celery
from tests.support.repository import ROOT
from tests.support.server.in_process import request
from tests.support.tracing.spans import RecordedSpans, WrittenSpans
from tests.support.waits import DEADLINE_SECONDS, wait_until
from tests.support.worker_processes import Workers

from rollbook import Rollbook
from rollbook_shared.jobs.codec import decode
from rollbook_shared.settings import Settings

CALLER = f"00-{7:032x}-{8:016x}-01"
"""The trace of a program that calls the HTTP server."""


def start(workers: Workers, written: WrittenSpans, pool: str = "threads", **settings: str) -> None:
    settings = {"TRACED_SPANS": str(written.path), "PYTHONPATH": str(ROOT), **settings}
    workers.spawn(pool=pool, threads=1, app="tests.support.tracing.traced_app", **settings)


def trace_id(span: Any) -> str:
    return f"0x{span.context.trace_id:032x}"


def span_id(span: Any) -> str:
    return f"0x{span.context.span_id:016x}"


@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_a_trace_reaches_from_the_call_to_the_commit(
    recorded: RecordedSpans, written: WrittenSpans, workers: Workers, rb: Rollbook, broker_url: str, pool: str
) -> None:
    with recorded.tracer.start_as_current_span("request"):
        jobs = [rb.users.identify(f"{pool}-{number}", {"plan": "pro"}) for number in range(2)]
    headers = {"prefer": "respond-async", "idempotency-key": pool, "traceparent": CALLER}
    answer = request(Settings(broker_url=broker_url), "PUT", f"/v1/users/{pool}-http", {"plan": "pro"}, headers)
    of_request = answer.headers["rollbook-job-id"]
    start(workers, written, pool)

    ids = [*(job.id for job in jobs), of_request]
    for job_id in ids:
        assert rb.jobs.wait(job_id, DEADLINE_SECONDS).state == "applied"
    wait_until(lambda: len(written.named("rollbook.identify")) == 3, what="three spans")
    sent = {span.attributes["messaging.message.id"]: span for span in recorded.named("send rollbook.identify")}  # type: ignore[index]
    wait_until(lambda: written.named("rollbook.batch"), what="the batch's span")
    (batch,) = written.named("rollbook.batch")
    (transaction,) = written.named("rollbook.apply")
    for job_id in ids:
        (span,) = written.of_job(job_id)
        assert span["context"]["trace_id"] == trace_id(sent[job_id])
        assert rb.jobs.get(job_id).trace_id == trace_id(sent[job_id]).removeprefix("0x")
        assert span["parent_id"] == span_id(sent[job_id])
        assert [link["context"] for link in span["links"]] == [batch["context"]]
        assert span["attributes"]["rollbook.outcome"] == "applied"
    assert {link["context"]["span_id"] for link in batch["links"]} == set(map(span_id, sent.values()))
    assert transaction["parent_id"] == batch["context"]["span_id"]
    (http,) = recorded.named("PUT /v1/users/{user_id}")
    assert sent[of_request].parent == http.context
    assert trace_id(sent[of_request]) == f"0x{CALLER.split('-')[1]}"


def test_a_worker_without_batches_makes_the_same_spans(
    recorded: RecordedSpans, written: WrittenSpans, workers: Workers, rb: Rollbook
) -> None:
    first = rb.users.identify("cy", {"plan": "pro"}, job_id="single")
    start(workers, written, ROLLBOOK_BATCH_SIZE="1")
    first.wait(DEADLINE_SECONDS)
    again = rb.users.identify("cy", {"plan": "free"}, job_id="single")
    assert again.wait(DEADLINE_SECONDS).state == "dead"

    wait_until(lambda: len(written.of_job("single")) == 2, what="two spans")
    sent = recorded.named("send rollbook.identify")
    applied, dead = written.of_job("single")
    assert [span["parent_id"] for span in (applied, dead)] == list(map(span_id, sent))
    assert [span["attributes"]["rollbook.outcome"] for span in (applied, dead)] == ["applied", "dead"]
    assert (dead["attributes"]["error.type"], dead["status"]["status_code"]) == ("id_reused", "ERROR")
    assert [span["parent_id"] for span in written.named("rollbook.apply")] == [
        span["context"]["span_id"] for span in (applied, dead)
    ]
    assert written.named("rollbook.batch") == []


def test_a_consumer_without_tracing_takes_a_traced_job(
    recorded: RecordedSpans, client: redis.Redis, rb: Rollbook, broker_url: str
) -> None:
    job = rb.users.identify("ed", {"plan": "pro"})

    with Celery(broker=broker_url, set_as_current=False).connection_for_read() as connection:
        message = connection.SimpleQueue("default").get(timeout=DEADLINE_SECONDS)
        ((text,), kwargs, _) = message.decode()
        message.ack()

    assert len(recorded.all()) == 1
    assert (message.headers["task"], message.headers["id"], kwargs) == ("rollbook.identify", job.id, {})
    assert decode(text).id == job.id
