"""The operations of a producer, as lines of a file, and the journal of those that were confirmed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from rollbook_shared.jobs.codec import decode, encode
from rollbook_shared.jobs.models import Job


class Method(StrEnum):
    """How a producer sends a job through the client."""

    TIMESTAMPED = "timestamped"
    """With its id and its timestamp."""
    BY_CLOCK = "by_clock"
    """With its id; the timestamp is the time of the producer's clock."""
    BUFFERED = "buffered"
    """With neither, through the buffered client, which puts it into a bulk job."""
    HTTP = "http"
    """As a request to the HTTP server, with its timestamp and its id as the idempotency key."""
    ROLLED_BACK = "rolled_back"
    """In a transaction that is rolled back."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Operation:
    """One job that a producer sends."""

    at: float
    """Seconds after the start of the phase."""
    method: Method
    job: Job


def write_operations(file: Path, operations: Iterable[Operation]) -> None:
    """Write the operations of a producer."""
    with file.open("w", encoding="utf-8") as lines:
        for operation in operations:
            line = {"at": operation.at, "method": operation.method, "job": encode(operation.job)}
            lines.write(json.dumps(line) + "\n")


def read_operations(file: Path) -> Iterator[Operation]:
    """Read the operations of a producer."""
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            fields = json.loads(line)
            yield Operation(at=fields["at"], method=Method(fields["method"]), job=decode(fields["job"]))


class Journal:
    """What the broker or the outbox has confirmed: one line per delivery."""

    def __init__(self, file: Path) -> None:
        self._lines = file.open("w", encoding="utf-8", buffering=1)

    def confirmed(self, job: Job) -> None:
        """Record a confirmed job."""
        self._lines.write(encode(job) + "\n")

    def close(self) -> None:
        """Close the file."""
        self._lines.close()


def read_journal(file: Path) -> Iterator[Job]:
    """The confirmed deliveries, in order."""
    if file.exists():
        with file.open(encoding="utf-8") as lines:
            yield from map(decode, lines)
