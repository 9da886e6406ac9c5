"""A worker whose packets vanish in one direction while it applies jobs: nothing is half done, or done twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from datetime import timedelta
from typing import Final

import pytest
from benchmarks.chaos.fault_kinds import POSTGRES
from benchmarks.chaos.packet_network import CALM, CUT, PacketNetwork
from benchmarks.chaos.servers_at_nodes import ServersAtNodes
from tests.support.builders import NOW, bulk_identify, identify, merge, trigger, user
from tests.support.chaos.packet_networks import SOON, packet_network, with_options
from tests.support.stores import OnPostgres
from tests.support.waits import wait_until

from rollbook_shared.errors import Unavailable
from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Job
from rollbook_shared.reference.oracle import oracle
from rollbook_shared.reference.world import first_difference
from rollbook_worker.migrations.runner import migrate
from rollbook_worker.store import PostgresStore, ReceivedJob, Store

WORKER: Final = "worker"
SECOND: Final = timedelta(seconds=1)
BEFORE: Final[Sequence[Job]] = [identify("ann", plan="free", at=1), identify("guest", cart=2, at=1)]
JOBS: Final[Sequence[Job]] = [
    bulk_identify(*(user(f"u{number}", plan="pro") for number in range(50)), at=2),
    trigger("hello", ["guest", "ann"], actor="u1", at=3),
    merge("ann", "guest", at=4),
    identify("guest", plan="pro", at=5),
]


@pytest.fixture(scope="module")
def network(starts_servers: None) -> Iterator[PacketNetwork]:
    with packet_network() as network:
        yield network


@pytest.fixture(scope="module")
def url(network: PacketNetwork) -> Iterator[str]:
    with ServersAtNodes(network, None) as servers:
        migrate(servers.database_url)
        yield with_options(servers.database_url, SOON)


@pytest.mark.parametrize(
    ("direction", "statement", "by_another"),
    [
        ("outgoing", b"INSERT INTO rollbook.jobs", "applied"),
        ("incoming", b"INSERT INTO rollbook.jobs", "applied"),
        ("outgoing", b"COMMIT\0", "applied"),
        ("incoming", b"COMMIT\0", "duplicate"),
    ],
)
def test_jobs_in_flight_are_applied_once(
    network: PacketNetwork, url: str, direction: str, statement: bytes, by_another: str
) -> None:
    """Another worker gets them next, as if the lease of the first one had ended, and while it is still cut off."""
    with ExitStack() as undo:
        subject = OnPostgres(url)
        undo.callback(subject.close)
        subject.reset()
        worker = PostgresStore(url, statement_timeout=SECOND, lock_timeout=SECOND)
        undo.callback(worker.close)
        undo.callback(network.change, WORKER, outgoing=CALM, incoming=CALM)
        with network.entered(WORKER):
            assert _apply(worker, BEFORE) == ["applied"] * len(BEFORE)
            _cut_at(statement, network, direction)
            with pytest.raises(Unavailable):
                _apply(worker, JOBS)

        assert _apply_when_possible(subject.store, JOBS) == [by_another] * len(JOBS)

        network.change(WORKER, outgoing=CALM, incoming=CALM)
        with network.entered(WORKER):
            assert _apply_when_possible(worker, JOBS) == ["duplicate"] * len(JOBS)
        assert first_difference(subject.world(), oracle([*BEFORE, *JOBS])) is None


def _cut_at(statement: bytes, network: PacketNetwork, direction: str) -> None:
    """Cut the worker off in this direction when it next sends the statement, which arrives if only answers are lost."""
    link = network.link(WORKER, POSTGRES)

    def look_at(packet: bytes) -> None:
        if statement in packet:
            network.change(WORKER, **{direction: CUT})
            del link.look_at

    link.look_at = look_at  # type: ignore[method-assign]


def _apply_when_possible(store: Store, jobs: Sequence[Job]) -> list[str]:
    states: list[str] = []

    def is_applied() -> bool:
        with suppress(Unavailable):
            states.extend(_apply(store, jobs))
        return bool(states)

    wait_until(is_applied)
    return states


def _apply(store: Store, jobs: Sequence[Job]) -> list[str]:
    arrivals = [ReceivedJob.of(encode(job)) for job in jobs]
    return [outcome.state.value for outcome in store.apply(arrivals, now=NOW)]
