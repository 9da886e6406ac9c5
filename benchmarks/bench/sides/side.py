"""One way from a broker to Postgres, with its workers, its database and its broker.

Consumption alone is measured: jobs are sent to a waiting room, a numbered database of Valkey where no worker listens,
and then moved (`MOVE`, which wakes whoever blocks on the list) to where the workers do. So the workers are warm, all
jobs are there at once, and the time of sending is not in it.
"""

from __future__ import annotations

import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Final
from urllib.parse import urlsplit

import psutil
import psycopg
import redis
from benchmarks.bench.ground import Ground
from benchmarks.bench.people import Person

READY_WITHIN: Final = 90.0
MOVED_WITHIN: Final = 10.0
"""Seconds. What was acknowledged late may still be in the list's way."""
_ASK_AGAIN: Final = 0.02


class Stalled(Exception):
    """A side's workers did not do what they were given; its log may say why."""


class Side(ABC):
    """What an experiment sees of a side."""

    queue: ClassVar[str]
    """The list of the broker that holds what waits."""
    beside: ClassVar[tuple[str, ...]] = ()
    """Other keys that go with it, and must be there first."""

    def __init__(self, ground: Ground, name: str, *, known: int) -> None:
        self.ground = ground
        self.name = name
        self.known = known
        """How many users it knows from the start."""
        self.database_url = self.make_database()
        self.broker_url = ground.new_broker()
        self.waiting_url = ground.new_broker()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.connection = psycopg.connect(self.database_url, autocommit=True)
        self._waiting = redis.Redis.from_url(self.waiting_url)
        self.client = redis.Redis.from_url(self.broker_url)

    @abstractmethod
    def make_database(self) -> str:
        """Make the database and its tables, before the workers start; returns its URL."""

    @abstractmethod
    def commands(self) -> Mapping[str, Sequence[str]]:
        """The workers' command lines, by name."""

    @abstractmethod
    def environment(self) -> Mapping[str, str]:
        """What the workers need to find their servers."""

    @abstractmethod
    def stage(self, people: Sequence[Person]) -> None:
        """Send one job a user to the waiting room, as an application would."""

    @abstractmethod
    def applied(self) -> int:
        """How many of the users staged last are in Postgres."""

    @abstractmethod
    def send(self, person: Person) -> None:
        """Send straight to the workers, as an application would."""

    @abstractmethod
    def visit_of(self, user_id: str) -> int | None:
        """What a reader sees of a user's `visit`."""

    def is_listening(self) -> bool:
        """Whether the workers are there; a side that cannot tell says yes, and shows it by its first jobs."""
        return True

    def start(self) -> None:
        """Start the workers, without waiting for them."""
        for name, command in self.commands().items():
            self.processes[name] = self.ground.spawn(name, command, self.environment())

    def wait_until_ready(self) -> None:
        self.wait_for(self.is_listening, within=READY_WITHIN, what="start")

    def release(self) -> None:
        """Put what was staged before the workers, at once."""
        for key in (*self.beside, self.queue):
            self._move(key)

    def release_as(self, key: str) -> None:
        """Put what was staged into the workers' broker under another name, where they do not see it."""
        self._waiting.rename(self.queue, key)
        self._move(key)

    def _move(self, key: str) -> None:
        number = int(urlsplit(self.broker_url).path.lstrip("/"))
        self.wait_for(lambda: self._waiting.move(key, number), within=MOVED_WITHIN, what=f"take {key}")

    def wait_for(self, condition: Callable[[], object], *, within: float, what: str) -> None:
        deadline = time.monotonic() + within
        while not condition():
            self.check()
            if time.monotonic() > deadline:
                raise Stalled(f"{self.name} did not {what} within {within:.0f} s{self.last_words()}")
            time.sleep(_ASK_AGAIN)

    def check(self) -> None:
        """
        Raises:
            Stalled: a worker has ended.
        """
        for name, process in self.processes.items():
            if process.poll() is not None:
                raise Stalled(f"{name} ended with {process.returncode}{self.last_words()}")

    def rss_bytes(self) -> int:
        """Resident memory of the workers, their children included."""
        total = 0
        for process in self.processes.values():
            parent = psutil.Process(process.pid)
            total += sum(each.memory_info().rss for each in (parent, *parent.children(recursive=True)))
        return total

    def close(self) -> None:
        self.connection.close()
        self._waiting.close()
        self.client.close()

    def last_words(self) -> str:
        """How the logs of the workers end."""
        return "".join(f"\n{name}: {words}" for name in self.processes if (words := self.ground.last_words(name)))
