"""A process that receives Celery's events from Redis and does nothing with them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_RECEIVE: Final = """
import sys, redis
subscriber = redis.Redis.from_url(sys.argv[1]).pubsub()
subscriber.psubscribe("*celeryev*")
for number, message in enumerate(subscriber.listen()):
    if number == 0:
        print(message["type"], flush=True)
"""


@contextmanager
def receiving_events(broker_url: str) -> Iterator[None]:
    """Receive the events of all workers of this broker meanwhile. They come in groups of hundreds."""
    command = [sys.executable, "-c", _RECEIVE, broker_url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            if process.stdout is None or process.stdout.readline().strip() != "psubscribe":
                raise RuntimeError("the process that receives events could not subscribe")
            yield
        finally:
            process.terminate()
