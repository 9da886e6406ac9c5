"""Rollbook, as its users run it: the client publishes, and workers are started with the documented command."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Final

import yaml
from benchmarks.bench import seeding
from benchmarks.bench.contenders.contender import Contender
from benchmarks.bench.environment import ROOT, Environment
from benchmarks.bench.users import UserRecord, known_id, traits

from rollbook import JobHandle, Rollbook
from rollbook_ops.devstack.workers import responding_workers

DEFAULT_WORKERS: Final = 2
"""One for each of two cores, as the baselines have."""
_FIRST_WITHIN: Final = 60.0

Call = Callable[[Rollbook], JobHandle]


class RollbookSingle(Contender):
    """The default queue: one identify per user."""

    queue = "default"
    users_a_job: ClassVar[int] = 1
    _staged: tuple[str, str] = ("", "")
    """The first and the last id of the jobs that were staged last. The client's ids sort by time; an idempotency key of
    another job is not between them."""

    def __init__(self, environment: Environment, name: str, *, known: int, workers: int = DEFAULT_WORKERS) -> None:
        super().__init__(environment, name, known=known)
        self._hosts = [f"{name}-{number}@bench" for number in range(1, workers + 1)]

    @cached_property
    def rb(self) -> Rollbook:
        return Rollbook(broker_url=self.broker_url, database_url=self.database_url)

    @cached_property
    def waiting_rollbook(self) -> Rollbook:
        return Rollbook(broker_url=self.waiting_url)

    def variables(self) -> Mapping[str, str]:
        return {"ROLLBOOK_BROKER_URL": self.broker_url, "ROLLBOOK_DATABASE_URL": self.database_url}

    def make_database(self) -> str:
        return self.environment.new_database(self.name, like=migrated(self.environment))

    def commands(self) -> Mapping[str, Sequence[str]]:
        return {host: [*documented_command(self.queue), f"--hostname={host}"] for host in self._hosts}

    def is_listening(self) -> bool:
        return responding_workers(self.broker_url, self._hosts) == set(self._hosts)

    def wait_until_ready(self) -> None:
        """Also identify one user, and copy its row for the other known users."""
        super().wait_until_ready()
        self.send_first().wait(timeout=_FIRST_WITHIN)
        seeding.copy_user(self.connection, known_id(0), self.known)

    def send_first(self) -> JobHandle:
        return self.rb.users.identify(known_id(0), traits(0, 0))

    def stage(self, users: Sequence[UserRecord]) -> None:
        identify = self.waiting_rollbook.users.identify
        jobs = [identify(user.id, user.traits).id for user in users]
        self._staged = min(jobs), max(jobs)

    def stage_calls(self, calls: Iterable[Call]) -> None:
        """Stage the jobs that these calls of a client send."""
        jobs = [call(self.waiting_rollbook).id for call in calls]
        self._staged = min(jobs), max(jobs)

    def count_applied(self) -> int:
        row = self.connection.execute(
            "SELECT count(*) FROM rollbook.jobs WHERE id BETWEEN %s AND %s AND state = 'applied'", self._staged
        ).fetchone()
        return int(row[0]) * self.users_a_job if row else 0

    def send(self, user: UserRecord) -> None:
        self.rb.users.identify(user.id, user.traits)

    def read_visit(self, user_id: str) -> int | None:
        row = self.connection.execute(
            "SELECT (properties ->> 'visit')::integer FROM rollbook.current_users WHERE id = %s", [user_id]
        ).fetchone()
        return row[0] if row else None

    def close(self) -> None:
        self.rb.close()
        self.waiting_rollbook.close()
        super().close()


class RollbookBulk(RollbookSingle):
    """The bulk queue: a hundred users per job; one worker by default, as docker-compose.yml has it."""

    queue = "bulk"
    users_a_job = 100

    def __init__(self, environment: Environment, name: str, *, known: int, workers: int = 1) -> None:
        super().__init__(environment, name, known=known, workers=workers)

    def send_first(self) -> JobHandle:
        return self.rb.users.bulk_identify([{"id": known_id(0), **traits(0, 0)}])

    def stage(self, users: Sequence[UserRecord]) -> None:
        if len(users) % self.users_a_job:
            raise ValueError(f"bulk jobs of {self.users_a_job} users need a multiple of that")
        jobs = [
            self.waiting_rollbook.users.bulk_identify([{"id": user.id, **user.traits} for user in batch])
            for batch in batched_users(users, self.users_a_job)
        ]
        ids = [job.id for job in jobs]
        self._staged = min(ids), max(ids)


@functools.cache
def migrated(environment: Environment) -> str:
    """The name of a database that `rollbook migrate` has prepared, to copy."""
    name = "rollbook_migrated"
    variables = os.environ | {"ROLLBOOK_DATABASE_URL": environment.new_database(name)}
    command = [str(Path(sys.executable).with_name("rollbook")), "migrate"]
    subprocess.run(command, env=variables, check=True, stdout=subprocess.DEVNULL)
    return name


def documented_command(queue: str) -> list[str]:
    """The command in docker-compose.yml for a worker of the queue, with another log level."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    program, *options = services[queue]["command"]
    # All contenders log only warnings; otherwise two log lines per task would be measured.
    return [str(Path(sys.executable).with_name(program)), *options, "--loglevel=WARNING"]


def batched_users(users: Sequence[UserRecord], size: int) -> list[Sequence[UserRecord]]:
    return [users[first : first + size] for first in range(0, len(users), size)]
