"""What one producer is to send, as lines of a file, and the journal of what it has sent."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from rollbook_shared.jobs.codec import decode, encode
from rollbook_shared.jobs.models import Job


class Way(StrEnum):
    """How a job is said to the face."""

    STAMPED = "stamped"
    """With its id and its moment."""
    BY_CLOCK = "by_clock"
    """With its id; it happens when the producer's clock says."""
    GATHERED = "gathered"
    """With neither, through the buffered face, which puts it into a bulk job."""
    WITHDRAWN = "withdrawn"
    """In a transaction that is rolled back."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sending:
    """One job to be sent by one producer."""

    at: float
    """Seconds after the beginning of the act."""
    way: Way
    job: Job


def write_sendings(file: Path, sendings: Iterable[Sending]) -> None:
    """Write them down for a producer."""
    with file.open("w", encoding="utf-8") as lines:
        for sending in sendings:
            line = {"at": sending.at, "way": sending.way, "job": encode(sending.job)}
            lines.write(json.dumps(line) + "\n")


def read_sendings(file: Path) -> Iterator[Sending]:
    """The same again."""
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            said = json.loads(line)
            yield Sending(at=said["at"], way=Way(said["way"]), job=decode(said["job"]))


class Journal:
    """What the broker, or the outbox, has confirmed; a line a delivery."""

    def __init__(self, file: Path) -> None:
        self._lines = file.open("w", encoding="utf-8", buffering=1)

    def confirmed(self, job: Job) -> None:
        """The job is there."""
        self._lines.write(encode(job) + "\n")

    def close(self) -> None:
        """No more follows."""
        self._lines.close()


def read_journal(file: Path) -> Iterator[Job]:
    """The deliveries that were confirmed, in order."""
    if file.exists():
        with file.open(encoding="utf-8") as lines:
            yield from map(decode, lines)
