"""Batches that are executed in this process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.support.builders import identify

from rollbook_shared.jobs.codec import encode
from rollbook_worker.celery_ext.batching import BATCH_TASK, Batch, BatchResult, TraceContext
from rollbook_worker.celery_ext.batching.batch import execute

SENT = [f"00-{number:032x}-{number:016x}-01" for number in range(1, 6)]


def job(number: int, **traits: Any) -> str:
    return encode(identify(f"user-{number}", at=1, job=f"job-{number}", **traits))


def run(*messages: object, sent: Sequence[str | None] = (), received: int = 5) -> BatchResult | None:
    contexts = [TraceContext.of({"traceparent": parent}) for parent in sent]
    batch = Batch([*messages], [context and context._replace(received=received) for context in contexts])
    return execute(BATCH_TASK, "batch-1", batch, "worker@here")
