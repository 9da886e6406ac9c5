"""One way from a broker to Postgres, with its workers, its database and its broker.

Only consumption is measured: jobs are sent to a waiting room, a numbered database of Valkey that no worker reads, and
then moved to the one of the workers (`MOVE`, which wakes clients that block on the list). So the workers are warm, all
jobs are there at once, and the time of sending does not count.
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
from benchmarks.bench.environment import Environment
from benchmarks.bench.users import UserRecord

READY_WITHIN: Final = 90.0
MOVED_WITHIN: Final = 10.0
"""Seconds: until the last acknowledgements have been processed, the list may still exist."""
_ASK_AGAIN: Final = 0.02


class Stalled(Exception):
    """The workers of a contender did not do their work; their logs may say why."""


class Contender(ABC):
    """What experiments use of a contender."""

    queue: ClassVar[str]
    """The list of the broker with the waiting jobs."""
    extra_keys: ClassVar[tuple[str, ...]] = ()
    """Other keys that belong to it, and are moved first."""

    def __init__(self, environment: Environment, name: str, *, known: int) -> None:
        self.environment = environment
        self.name = name
        self.known = known
        """How many users it knows from the start."""
        self.database_url = self.make_database()
        self.broker_url, self.waiting_url = environment.new_brokers()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.connection = psycopg.connect(self.database_url, autocommit=True)
        self._waiting = redis.Redis.from_url(self.waiting_url)
        self.client = redis.Redis.from_url(self.broker_url)

    @abstractmethod
    def make_database(self) -> str:
        """Create the database and its tables before the workers start; return its URL."""

    @abstractmethod
    def commands(self) -> Mapping[str, Sequence[str]]:
        """Worker name -> its command line."""

    @abstractmethod
    def variables(self) -> Mapping[str, str]:
        """The environment variables of the workers: where their servers are."""

    @abstractmethod
    def stage(self, users: Sequence[UserRecord]) -> None:
        """Send one job per user to the waiting room, as an application would."""

    @abstractmethod
    def count_applied(self) -> int:
        """How many of the users that were staged last are in Postgres."""

    @abstractmethod
    def send(self, user: UserRecord) -> None:
        """Send directly to the workers, as an application would."""

    @abstractmethod
    def read_visit(self, user_id: str) -> int | None:
        """A user's `visit`, as a reader sees it."""

    def is_listening(self) -> bool:
        """Whether the workers are ready. True if that is not known; then the first jobs show it."""
        return True

    def start(self) -> None:
        """Start the workers, without waiting for them."""
        for name, command in self.commands().items():
            self.processes[name] = self.environment.spawn(name, command, self.variables())

    def wait_until_ready(self) -> None:
        self.wait_for(self.is_listening, within=READY_WITHIN, what="start")

    def release(self) -> None:
        """Move the staged jobs to the workers, all at once."""
        for key in (*self.extra_keys, self.queue):
            self._move(key)

    def release_as(self, key: str) -> None:
        """Move the staged jobs to the workers' broker under another name, which the workers do not read."""
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
                raise Stalled(f"{self.name} did not {what} within {within:.0f} s{self.log_tails()}")
            time.sleep(_ASK_AGAIN)

    def check(self) -> None:
        """Check that the workers run.

        Raises:
            Stalled: a worker has ended.
        """
        for name, process in self.processes.items():
            if process.poll() is not None:
                raise Stalled(f"{name} ended with {process.returncode}{self.log_tails()}")

    def rss_bytes(self) -> int:
        """Resident memory of the workers, including their children."""
        return sum(each.memory_info().rss for name in self.processes for each in self._processes_of(name))

    def pss_bytes(self) -> Mapping[str, int]:
        """Worker name -> its proportional set size, with its children: memory that several processes share counts in
        equal parts. Where the system does not count it, the resident memory.
        """
        return {name: sum(map(_pss, self._processes_of(name))) for name in self.processes}

    def _processes_of(self, name: str) -> list[psutil.Process]:
        parent = psutil.Process(self.processes[name].pid)
        return [parent, *parent.children(recursive=True)]

    def close(self) -> None:
        self.connection.close()
        self._waiting.close()
        self.client.close()

    def log_tails(self) -> str:
        """The ends of the workers' logs."""
        return "".join(f"\n{name}: {tail}" for name in self.processes if (tail := self.environment.log_tails(name)))


def _pss(process: psutil.Process) -> int:
    memory = process.memory_full_info()
    return int(getattr(memory, "pss", memory.rss))
