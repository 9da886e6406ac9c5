"""An application that sends over HTTP: a request that fails is sent again with its idempotency key."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import httpx
from benchmarks.chaos.http_jobs import request_of
from benchmarks.chaos.operations import Journal, Operation

from rollbook_shared.jobs.models import Job

logger = logging.getLogger("producer")

SECRET_KEY: Final = "sk_chaos"
_AT_ONCE: Final = 8
_RETRY_SECONDS: Final = 0.2
_ANSWER_SECONDS: Final = 20.0
"""Longer than a server waits for anything; a request to one that is killed ends at once."""


def send_by_http(operations: Iterator[Operation], journal: Journal, server_url: str) -> None:
    """Send each job at its time. Every second request waits until a worker has applied the job."""
    lock = threading.Lock()
    headers = {"authorization": f"Bearer {SECRET_KEY}"}
    with (
        httpx.Client(base_url=server_url, headers=headers, timeout=_ANSWER_SECONDS) as http,
        ThreadPoolExecutor(_AT_ONCE) as threads,
    ):

        def send(number: int, job: Job) -> None:
            job_id = _confirmed_id(http, job, waits=number % 2 == 0)
            with lock:
                journal.confirmed(job.model_copy(update={"id": job_id}))

        sent = [threads.submit(send, number, operation.job) for number, operation in enumerate(operations)]
        for each in sent:
            each.result()


def _confirmed_id(http: httpx.Client, job: Job, *, waits: bool) -> str:
    """The id that the server has given to the job. Until an answer says that Redis has the job, it is sent again."""
    request = request_of(job, waits=waits)
    while True:
        try:
            answer = http.request(request.method, request.path, json=request.body, headers=request.headers)
        except httpx.TransportError as error:
            logger.info("%s", type(error).__name__)
        else:
            if answer.is_success:
                return answer.headers["rollbook-job-id"]
            logger.info("answered with %d", answer.status_code)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                raise RuntimeError(f"{request.method} {request.path}: {answer.status_code} {answer.text}")
        time.sleep(_RETRY_SECONDS)
