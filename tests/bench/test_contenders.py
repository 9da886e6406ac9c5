"""The yardsticks' workers, and ours, really do the work that is measured."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from benchmarks.bench import peers
from benchmarks.bench.bench import BULK_QUEUE, LABELS, ORM, OURS, UPSERT, Bench
from benchmarks.bench.draining import drain
from benchmarks.bench.goals import GOALS
from benchmarks.bench.ground import Ground
from benchmarks.bench.people import KNOWN, crowd, traits
from benchmarks.bench.scale import QUICK
from benchmarks.bench.sides.ours import documented_command
from benchmarks.bench.yardsticks import batches, table

from rollbook_ops.devstack import Servers

JOBS = 20
SIDES = [OURS, BULK_QUEUE, ORM[0], UPSERT[0], "dramatiq", "taskiq"]

FIRST_BROKER = 32
"""The numbered databases of the session's Valkey that other tests use are below."""


@pytest.fixture(scope="module")
def ground(servers: Servers) -> Iterator[Ground]:
    with Ground(servers, first_broker=FIRST_BROKER) as ground:
        yield ground


@pytest.fixture(scope="module")
def bench(ground: Ground) -> Iterator[Bench]:
    bench = Bench(ground, QUICK, keys=GOALS.keys(), peers=peers.installed(), step=lambda what: None)
    bench.start([name for name in SIDES if name in bench.peers or name not in ("dramatiq", "taskiq")])
    yield bench
    bench.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", SIDES)
def test_a_side_applies_what_it_is_given(bench: Bench, name: str) -> None:
    if name in ("dramatiq", "taskiq") and name not in bench.peers:
        pytest.skip("not installed")
    side = bench.side(name)
    people = crowd(JOBS if name != BULK_QUEUE else 100, known=side.known)

    drained = drain(side, people, from_checkpoint=True)

    assert drained.users == len(people)
    assert drained.rate > 0
    assert drained.wal_bytes > 0
    assert [side.visit_of(person.id) for person in people] == [people[0].traits["visit"]] * len(people)
    assert any(person.id.startswith(KNOWN) for person in people)


@pytest.mark.slow
@pytest.mark.parametrize("name", [ORM[0], UPSERT[0]])
def test_a_yardstick_keeps_the_traits_that_are_not_told_again(bench: Bench, name: str) -> None:
    side = bench.side(name)
    (person, *_) = people = [person for person in crowd(2, known=side.known) if person.id.startswith(KNOWN)]
    side.connection.execute("UPDATE users SET data = data || '{\"kept\": 1}' WHERE id = %s", [person.id])

    drain(side, people)

    row = side.connection.execute("SELECT data ->> 'kept' FROM users WHERE id = %s", [person.id]).fetchone()
    assert row == ("1",)


@pytest.mark.slow
def test_the_floor_writes_the_same_users(ground: Ground) -> None:
    url = ground.new_schema("floor")
    table.create(url, known=10, prefix=KNOWN, data=traits(0, 0))
    people = crowd(batches.BATCH + 1, known=10)

    with psycopg.connect(url, autocommit=True) as connection:
        batches.load(connection, people)
        rows = connection.execute("SELECT id, data FROM users").fetchall()

    assert {id_: data for id_, data in rows if data["visit"]} == {person.id: dict(person.traits) for person in people}


def test_all_yardsticks_are_told_of_the_same_ten_traits_of_about_300_bytes() -> None:
    import json

    people = crowd(100, known=1_000)

    assert {len(person.traits) for person in people} == {10}
    assert 270 <= sum(len(json.dumps(person.traits)) for person in people) / len(people) <= 360
    assert len({person.id for person in people}) == 100
    assert sum(person.id.startswith(KNOWN) for person in people) == 50


@pytest.mark.parametrize("queue", ["default", "bulk"])
def test_our_workers_are_started_as_documented(queue: str) -> None:
    command = documented_command(queue)

    assert command[1:3] == ["-m", "celery"]
    assert f"--queues={queue}" in command
    assert [option for option in command if option.startswith("--hostname")] == []


def test_every_rate_has_a_name_for_people() -> None:
    assert [name for name in SIDES if name not in LABELS] == []
