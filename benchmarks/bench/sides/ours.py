"""Rollbook, driven as its users do: its face sends, its documented command consumes."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Final

import yaml
from benchmarks.bench import filling
from benchmarks.bench.ground import ROOT, Ground
from benchmarks.bench.people import Person, known_id, traits
from benchmarks.bench.sides.side import Side
from celery import Celery

from rollbook import JobHandle, Rollbook
from rollbook_ops.devstack.workers import responding_workers

LIVE_WORKERS: Final = 2
"""As many processes as the yardsticks have cores."""
_SETTLED_WITHIN: Final = 60.0


class RollbookSide(Side):
    """The default queue: one identify a user."""

    queue = "default"
    users_a_job: ClassVar[int] = 1
    _first: str = ""
    """The first job staged last; the ids of jobs sort by time."""

    def __init__(self, ground: Ground, name: str, *, known: int, workers: int = LIVE_WORKERS) -> None:
        super().__init__(ground, name, known=known)
        self._hosts = [f"{name}-{number}@bench" for number in range(1, workers + 1)]

    @cached_property
    def rb(self) -> Rollbook:
        return Rollbook(broker_url=self.broker_url, database_url=self.database_url)

    @cached_property
    def waiting_rc(self) -> Rollbook:
        return Rollbook(broker_url=self.waiting_url)

    def environment(self) -> Mapping[str, str]:
        return {"ROLLBOOK_BROKER_URL": self.broker_url, "ROLLBOOK_DATABASE_URL": self.database_url}

    def make_database(self) -> str:
        return self.ground.new_database(self.name, like=migrated(self.ground))

    def commands(self) -> Mapping[str, Sequence[str]]:
        return {host: [*documented_command(self.queue), f"--hostname={host}"] for host in self._hosts}

    def is_listening(self) -> bool:
        return responding_workers(self.broker_url, self._hosts) == set(self._hosts)

    def wait_until_ready(self) -> None:
        """Also tell of one user, and copy its row as often as users are wanted."""
        super().wait_until_ready()
        self.tell_first().wait(timeout=_SETTLED_WITHIN)
        filling.copy_user(self.connection, known_id(0), self.known)

    def tell_first(self) -> JobHandle:
        return self.rb.users.identify(known_id(0), traits(0, 0))

    def stage(self, people: Sequence[Person]) -> None:
        identify = self.waiting_rc.users.identify
        first, *others = people
        self._first = identify(first.id, first.traits).id
        for person in others:
            identify(person.id, person.traits)

    def applied(self) -> int:
        row = self.connection.execute(
            "SELECT count(*) FROM rollbook.jobs WHERE id >= %s AND state = 'applied'", [self._first]
        ).fetchone()
        return int(row[0]) * self.users_a_job if row else 0

    def send(self, person: Person) -> None:
        self.rb.users.identify(person.id, person.traits)

    def visit_of(self, user_id: str) -> int | None:
        row = self.connection.execute(
            "SELECT (properties ->> 'visit')::integer FROM rollbook.current_users WHERE id = %s", [user_id]
        ).fetchone()
        return row[0] if row else None

    def switch_events(self, *, on: bool) -> None:
        """As `celery control enable_events` and `disable_events` do."""
        with Celery(set_as_current=False, fixups=set()) as app:
            app.conf.broker_read_url = app.conf.broker_write_url = self.broker_url
            told: list[Any] = app.control.broadcast(
                "enable_events" if on else "disable_events",
                destination=self._hosts,
                reply=True,
                timeout=5,
                limit=len(self._hosts),
            )
        if len(told) != len(self._hosts):
            raise RuntimeError(f"{len(told)} of {len(self._hosts)} workers took the command about events")

    def close(self) -> None:
        self.rb.close()
        self.waiting_rc.close()
        super().close()


class RollbookBulk(RollbookSide):
    """The bulk queue: a hundred users a job, by default one worker, as docker-compose.yml has it."""

    queue = "bulk"
    users_a_job = 100

    def __init__(self, ground: Ground, name: str, *, known: int, workers: int = 1) -> None:
        super().__init__(ground, name, known=known, workers=workers)

    def tell_first(self) -> JobHandle:
        return self.rb.users.bulk_identify([{"id": known_id(0), **traits(0, 0)}])

    def stage(self, people: Sequence[Person]) -> None:
        if len(people) % self.users_a_job:
            raise ValueError(f"bulk jobs of {self.users_a_job} users need a multiple of that")
        jobs = [
            self.waiting_rc.users.bulk_identify([{"id": person.id, **person.traits} for person in batch])
            for batch in batched_people(people, self.users_a_job)
        ]
        self._first = jobs[0].id


@functools.cache
def migrated(ground: Ground) -> str:
    """The name of a database that `rollbook migrate` has prepared, to be copied."""
    name = "rollbook_migrated"
    environment = os.environ | {"ROLLBOOK_DATABASE_URL": ground.new_database(name)}
    command = [str(Path(sys.executable).with_name("rollbook")), "migrate"]
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return name


def documented_command(queue: str) -> list[str]:
    """How docker-compose.yml starts a worker of the queue, with a host name and a log level to be added."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    program, *options = services[queue]["command"]
    if program != "celery":
        raise ValueError(f"docker-compose.yml starts {queue} by {program}, not by celery")
    kept = [option for option in options if not option.startswith(("--hostname", "--loglevel"))]
    # All sides log warnings only: two lines a task, to a file, would be measured otherwise.
    return [sys.executable, "-m", "celery", *kept, "--loglevel=WARNING"]


def batched_people(people: Sequence[Person], size: int) -> list[Sequence[Person]]:
    return [people[first : first + size] for first in range(0, len(people), size)]
