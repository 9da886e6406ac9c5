"""The doctor's findings about deliveries, in a real Postgres, and the gauges that maintenance shows of them."""

from __future__ import annotations

import time
from pathlib import Path

import psycopg
import pytest
from prometheus_client import CollectorRegistry
from tests.support.operations.findings import MARKED

from rollbook_ops.doctor import Finding, Level
from rollbook_ops.doctor.postgres import examine_postgres
from rollbook_shared.settings import Settings
from rollbook_worker.maintenance.gauges import ServerGauges

REGISTRY = """
[channels.mail]
type = "email"
delivery = "smtp"

[channels.own]
type = "push"
delivery = "claim"
"""


@pytest.fixture
def settings(url: str, tmp_path: Path) -> Settings:
    (file := tmp_path / "registry.toml").write_text(REGISTRY)
    return Settings(database_url=url, registry=str(file))


def insert(
    connection: psycopg.Connection,
    channel: str,
    state: str,
    *,
    reason: str = "",
    due: int | None = None,
    count: int = 1,
) -> None:
    """Deliveries that became due so many seconds ago; None: they are done."""
    connection.execute(
        "INSERT INTO rollbook.deliveries (message_id, channel, workflow, priority, state, reason, due_at, expires_at,"
        " created_at, changed_at) SELECT gen_random_uuid(), %s, 'w', 1, %s, nullif(%s, ''),"
        " now() - make_interval(secs => %s), now(), now(), now() FROM generate_series(1, %s)",
        (channel, state, reason, due, count),
    )


def look(settings: Settings) -> list[Finding]:
    return [found for found in examine_postgres(settings, time.time) if found.name == "deliveries"]


def test_deliveries_that_are_claimed_soon_are_no_finding(settings: Settings, connection: psycopg.Connection) -> None:
    insert(connection, "mail", "pending", due=30)
    insert(connection, "mail", "pending", due=-3_600)
    insert(connection, "mail", "failed", reason="x", due=-60, count=20)
    insert(connection, "mail", "sent")

    assert [found.level for found in look(settings)] == [Level.OK]


@pytest.mark.parametrize(
    ("channel", "due", "level", "advice"),
    [
        ("mail", 90, Level.WARNING, "`rollbook deliver`"),
        ("own", 1_300, Level.PROBLEM, "application's sender"),
        ("other", 1_300, Level.PROBLEM, "`rollbook deliver`"),
    ],
)
def test_a_channel_that_no_one_claims(
    settings: Settings, connection: psycopg.Connection, channel: str, due: int, level: Level, advice: str
) -> None:
    insert(connection, channel, "pending", due=due)
    insert(connection, channel, "pending", due=10)

    (found,) = look(settings)

    assert (found.level, advice in found.advice) == (level, True)
    assert found.summary.startswith(f"{channel}: 2 deliveries due and not claimed, the first for ")


def test_an_address_that_is_always_missing(settings: Settings, connection: psycopg.Connection) -> None:
    insert(connection, "mail", "skipped", reason="no address", count=12)

    (found,) = look(settings)

    assert found.level is Level.WARNING
    assert found.summary == "mail: none of 12 deliveries of the last day had an address (email)"


def test_a_channel_that_always_fails(settings: Settings, connection: psycopg.Connection) -> None:
    insert(connection, "mail", "failed", reason="the mail server cannot be reached", due=-60, count=9)
    insert(connection, "mail", "undeliverable", reason="the mail server rejects the mail (554)", count=2)
    insert(connection, "own", "undeliverable", reason=MARKED, count=12)

    mail, own = look(settings)

    failed = "mail: 11 of 11 deliveries of the last day failed, and none was sent: the mail server cannot be reached"
    assert mail.summary == failed
    assert own.summary == "own: 12 of 12 deliveries of the last day failed, and none was sent"

    insert(connection, "mail", "delivered")
    insert(connection, "own", "sent")
    assert [found.level for found in look(settings)] == [Level.OK]


def test_what_is_due_is_measured_by_channel(settings: Settings, connection: psycopg.Connection) -> None:
    insert(connection, "mail", "pending", due=100)
    insert(connection, "mail", "claimed", due=50)
    insert(connection, "mail", "pending", due=-100)
    insert(connection, "own", "sent")
    registry = CollectorRegistry()
    registry.register(ServerGauges(settings))

    assert registry.get_sample_value("rollbook_deliveries_due", {"channel": "mail"}) == 2
    oldest = registry.get_sample_value("rollbook_deliveries_oldest_due_seconds", {"channel": "mail"})
    assert oldest is not None
    assert 100 <= oldest < 1_000
    assert registry.get_sample_value("rollbook_deliveries_due", {"channel": "own"}) is None
