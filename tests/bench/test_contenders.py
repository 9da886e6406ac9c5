"""The workers of the contenders do the work that is measured."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from benchmarks.bench import peers
from benchmarks.bench.baselines import batched_upserts, table
from benchmarks.bench.bench import BULK_QUEUE, LABELS, ORM, OURS, UPSERT, Bench
from benchmarks.bench.contenders.rollbook import RollbookSingle, documented_command
from benchmarks.bench.drain import drain
from benchmarks.bench.environment import Environment
from benchmarks.bench.goals import GOALS
from benchmarks.bench.scale import QUICK
from benchmarks.bench.users import KNOWN, make_users, traits
from tests.support.waits import DEADLINE_SECONDS

from rollbook_ops.devstack import Servers

JOBS = 20
SIDES = [OURS, BULK_QUEUE, ORM[0], UPSERT[0], "dramatiq", "taskiq"]

FIRST_BROKER = 32
"""The numbered databases of the session's Valkey that other tests use are below."""


@pytest.fixture(scope="module")
def environment(servers: Servers) -> Iterator[Environment]:
    with Environment(servers, first_broker=FIRST_BROKER) as environment:
        yield environment


@pytest.fixture(scope="module")
def bench(environment: Environment) -> Iterator[Bench]:
    bench = Bench(environment, QUICK, keys=GOALS.keys(), peers=peers.installed(), step=lambda what: None)
    bench.start([name for name in SIDES if name in bench.peers or name not in ("dramatiq", "taskiq")])
    yield bench
    bench.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", SIDES)
def test_a_contender_applies_its_jobs(bench: Bench, name: str) -> None:
    if name in ("dramatiq", "taskiq") and name not in bench.peers:
        pytest.skip("not installed")
    contender = bench.contender(name)
    users = make_users(JOBS if name != BULK_QUEUE else 100, known=contender.known)

    result = drain(contender, users, from_checkpoint=True)

    assert result.users == len(users)
    assert result.rate > 0
    assert result.wal_bytes > 0
    assert [contender.read_visit(user.id) for user in users] == [users[0].traits["visit"]] * len(users)
    assert any(user.id.startswith(KNOWN) for user in users)


@pytest.mark.slow
def test_a_job_with_a_key_of_its_caller_is_not_counted(bench: Bench) -> None:
    contender = bench.contender(OURS)
    assert isinstance(contender, RollbookSingle)

    contender.rb.users.identify("ann", {}, job_id="key-of-the-caller").wait(timeout=DEADLINE_SECONDS)
    contender.stage(make_users(100, known=contender.known))

    assert contender.count_applied() == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", [ORM[0], UPSERT[0]])
def test_a_baseline_keeps_traits_that_are_not_sent_again(bench: Bench, name: str) -> None:
    contender = bench.contender(name)
    (user, *_) = users = [user for user in make_users(2, known=contender.known) if user.id.startswith(KNOWN)]
    contender.connection.execute("UPDATE users SET data = data || '{\"kept\": 1}' WHERE id = %s", [user.id])

    drain(contender, users)

    row = contender.connection.execute("SELECT data ->> 'kept' FROM users WHERE id = %s", [user.id]).fetchone()
    assert row == ("1",)


@pytest.mark.slow
def test_the_floor_writes_the_same_users(environment: Environment) -> None:
    url = environment.new_schema("floor")
    table.create(url, known=10, prefix=KNOWN, data=traits(0, 0))
    users = make_users(batched_upserts.BATCH + 1, known=10)

    with psycopg.connect(url, autocommit=True) as connection:
        batched_upserts.load(connection, users)
        rows = connection.execute("SELECT id, data FROM users").fetchall()

    assert {id_: data for id_, data in rows if data["visit"]} == {user.id: dict(user.traits) for user in users}


def test_all_contenders_get_the_same_ten_traits_of_about_300_bytes() -> None:
    import json

    users = make_users(100, known=1_000)

    assert {len(user.traits) for user in users} == {10}
    assert 270 <= sum(len(json.dumps(user.traits)) for user in users) / len(users) <= 360
    assert len({user.id for user in users}) == 100
    assert sum(user.id.startswith(KNOWN) for user in users) == 50


@pytest.mark.parametrize("queue", ["default", "bulk"])
def test_our_workers_are_started_as_documented(queue: str) -> None:
    command = documented_command(queue)

    assert (Path(command[0]).name, command[1]) == ("rollbook", "worker")
    assert f"--queues={queue}" in command


def test_every_rate_has_a_label() -> None:
    assert [name for name in SIDES if name not in LABELS] == []
