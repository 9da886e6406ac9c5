"""As many users as the demo has, for the pages of the console in a browser: 20,000, some merged or deleted, some with
messages that left or did not; and dead letters and deferred jobs.

All of it is what the real store makes of jobs and reports; most users are copies of one of them, by SQL.
"""

from __future__ import annotations

from typing import Final

from benchmarks.bench.seeding import copy_user
from tests.support.console.operations import dead_job
from tests.support.deliveries import MAIL, REGISTRY, DeliveryStore

from rollbook import Rollbook
from rollbook_shared.jobs.models import Delete, Identify, Merge, Trigger, UserUpdate
from rollbook_worker.migrations.optional_indexes import create_index
from rollbook_worker.store import ReceivedJob

USERS: Final = 20_000
MERGED: Final = 60
DELETED: Final = 20
DEFERRED: Final = 20
REACHED: Final = 120
DEAD: Final = 60
_MINUTE: Final = 60_000_000


def fill_crowd(database_url: str, registry: str) -> None:
    """Fill an empty database.

    registry: a file that is written.
    """
    worker = DeliveryStore(database_url)
    now = worker.now()
    worker.apply(_identify(0, now - 40 * _MINUTE))
    copy_user(worker.connection, member(0), USERS)
    later = now + 24 * 60 * _MINUTE
    worker.apply(
        *(_identify(number, now - 30 * _MINUTE) for number in range(REACHED)),
        *(_merge(number, now - 20 * _MINUTE) for number in range(MERGED)),
        *(_delete(USERS - 1 - number, now - 10 * _MINUTE) for number in range(DELETED)),
        Trigger(
            id="to-many",
            occurred_at=now - _MINUTE,
            workflow="welcome",
            recipients=tuple(map(member, range(REACHED))),
            channels=MAIL,
        ),
        *(_defer(number, now, later) for number in range(DEFERRED)),
    )
    dead = [*(dead_job(f"dead-{number}") for number in range(DEAD)), "no job"]
    worker.store.apply([ReceivedJob.of(text) for text in dead], now=now)
    _send(database_url, registry)
    worker.close()
    for index in ("prefix", "created_at"):
        create_index(database_url, index)


def member(number: int) -> str:
    """The id of one of them."""
    return f"member-{number:08}"


def _identify(number: int, at: int) -> Identify:
    traits = {"email": f"member.{number}@example.com", "name": f"Member the {number}th", "plan": "pro"}
    return Identify(id=f"member-{number}", occurred_at=at, user=UserUpdate(id=member(number), traits=traits))


def _merge(number: int, at: int) -> Merge:
    secondary = member(USERS // 2 + number)
    return Merge(id=f"merge-{number}", occurred_at=at, primary_id=member(number), secondary_id=secondary)


def _delete(number: int, at: int) -> Delete:
    return Delete(id=f"delete-{number}", occurred_at=at, user_id=member(number))


def _defer(number: int, now: int, later: int) -> Identify:
    user = UserUpdate(id=member(number), traits={"plan": "team"})
    return Identify(id=f"deferred-{number}", occurred_at=later, deferred=True, requested_at=now, user=user)


def _send(database_url: str, registry: str) -> None:
    """Hand over half of the messages: most are sent, some are given up, and some wait for another attempt."""
    with open(registry, "w", encoding="utf-8") as file:
        file.write(REGISTRY)
    with Rollbook(database_url=database_url, registry=registry) as rb:
        for number, delivery in enumerate(rb.deliveries.claim("mail", limit=REACHED // 2)):
            if number % 5:
                rb.deliveries.sent(delivery)
            else:
                rb.deliveries.failed(delivery, "mailbox unavailable", permanent=number % 2 == 0)
