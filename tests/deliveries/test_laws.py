"""Laws of deliveries: one for each message, in whatever order jobs arrive; what is handed over is what readers see; no
delivery is with two senders, and what was sent stays sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support import conflicting_jobs
from tests.support.builders import user
from tests.support.deliveries import DeliveryStore
from tests.support.example_counts import examples

from rollbook import Delivery, LeaseLost, Rollbook
from rollbook_shared import jobs
from rollbook_shared.registry import parse_registry

pytestmark = pytest.mark.servers
REGISTRY = """
[channels.mail]
type = "email"
delivery = "claim"
max_age = "3650d"
attempts = 100
"""
LEASE = 100
PEOPLE = ("ann", "bo", "cy")


@pytest.fixture(scope="module")
def sender(delivery_store: DeliveryStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rollbook]:
    path: Path = tmp_path_factory.mktemp("laws") / "registry.toml"
    path.write_text(REGISTRY)
    with Rollbook(database_url=delivery_store.url, registry=str(path)) as rb:
        yield rb


@examples(25)
@given(arriving=conflicting_jobs.deliveries())
def test_each_message_gets_one_delivery_and_what_is_handed_over_is_what_readers_see(
    delivery_store: DeliveryStore, sender: Rollbook, arriving: conflicting_jobs.Delivery
) -> None:
    worker = delivery_store
    worker.reset(REGISTRY)
    for batch in arriving.batches:
        worker.apply(*batch)

    made = worker.connection.execute("SELECT id FROM rollbook.messages WHERE channel = 'email' ORDER BY id").fetchall()
    assert sorted((row["message_id"],) for row in worker.rows()) == made

    handed_over = {delivery.id: delivery.recipient["id"] for delivery in sender.deliveries.claim("mail", limit=1_000)}
    reachable = worker.connection.execute(
        "SELECT m.id::text, m.owner FROM rollbook.owned_messages AS m"
        " JOIN rollbook.current_users AS u ON u.id = m.owner AND u.email IS NOT NULL"
        " JOIN rollbook.deliveries AS d ON d.message_id = m.id AND d.state <> 'cancelled'"
    ).fetchall()
    assert handed_over == dict(reachable)

    for batch in arriving.batches:  # a year later: the states of the jobs are gone
        worker.connection.execute("DELETE FROM rollbook.jobs")
        worker.apply(*batch)
    assert sorted((row["message_id"],) for row in worker.rows()) == made
    assert sender.deliveries.claim("mail", limit=1_000) == ()


class Senders:
    """Senders that claim, report, die and come late; what each knows, and what the system must keep."""

    def __init__(self, worker: DeliveryStore, rb: Rollbook) -> None:
        self.worker, self.rb = worker, rb
        self.held: list[Delivery] = []
        """Every claim that was not reported, also those whose lease is over."""
        self.live: dict[str, int] = {}
        """The claims whose lease lasts."""
        self.sent: set[str] = set()
        self.claims: dict[str, int] = {}

    def claim(self, number: int) -> None:
        for delivery in self.rb.deliveries.claim("mail", limit=number + 1, lease=LEASE):
            assert delivery.id not in self.sent, "what was sent is claimed again"
            assert delivery.id not in self.live, "two senders have it"
            assert delivery.claim == self.claims.get(delivery.id, 0) + 1
            self.claims[delivery.id] = self.live[delivery.id] = delivery.claim
            self.held.append(delivery)

    def report(self, number: int, how: str) -> None:
        if not self.held:
            return
        delivery = self.held.pop(number % len(self.held))
        calls = {
            "sent": self.rb.deliveries.sent,
            "failed": lambda one: self.rb.deliveries.failed(one, "no"),
            "release": self.rb.deliveries.release,
        }
        if self.claims[delivery.id] != delivery.claim:
            with pytest.raises(LeaseLost):
                calls[how](delivery)
            return
        calls[how](delivery)
        self.live.pop(delivery.id, None)
        if how == "sent":
            self.sent.add(delivery.id)

    def end_leases(self, _: int) -> None:
        self.worker.later(timedelta(seconds=2_000))  # longer than any delay of a retry
        self.live.clear()


@examples(30)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["claim", "claim", "sent", "failed", "release", "end"]), st.integers(0, 3)),
        max_size=20,
    )
)
def test_no_delivery_is_with_two_senders_and_what_was_sent_stays_sent(
    delivery_store: DeliveryStore, sender: Rollbook, steps: list[tuple[str, int]]
) -> None:
    delivery_store.reset(REGISTRY)
    _send_to(delivery_store, *PEOPLE)
    senders = Senders(delivery_store, sender)

    for step, number in steps:
        match step:
            case "claim":
                senders.claim(number)
            case "end":
                senders.end_leases(number)
            case how:
                senders.report(number, how)

    senders.end_leases(0)
    senders.claim(10)
    assert senders.live.keys() | senders.sent == {str(row["message_id"]) for row in delivery_store.rows()}
    assert not senders.live.keys() & senders.sent


def test_senders_that_claim_at_once_share_the_deliveries(delivery_store: DeliveryStore, sender: Rollbook) -> None:
    delivery_store.reset(REGISTRY)
    for workflow in ("one", "two", "three"):
        _send_to(delivery_store, *(f"user-{number}" for number in range(20)), workflow=workflow)

    def claim_all(_: int) -> list[str]:
        ids: list[str] = []
        while claimed := sender.deliveries.claim("mail", limit=3):
            ids += [delivery.id for delivery in claimed]
        return ids

    with ThreadPoolExecutor(4) as pool:
        claimed = [id_ for ids in pool.map(claim_all, range(4)) for id_ in ids]
    claimed += claim_all(0)  # what a claim had locked when the last of the others looked

    assert len(claimed) == len(set(claimed)) == 60


def _send_to(worker: DeliveryStore, *ids: str, workflow: str = "hello") -> None:
    worker.registry = parse_registry(REGISTRY)
    now = worker.now()
    worker.apply(
        jobs.Trigger(
            id=f"{workflow}-{now}",
            occurred_at=now,
            workflow=workflow,
            recipients=tuple(user(id_, email=f"{id_}@example.com") for id_ in ids),
            actor=None,
            channels=("email",),
        )
    )
