"""The runbook is true: its statements run, Redis understands its commands, and what names its sections finds them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import psycopg
from tests.support.brokers import connect_to_broker
from tests.support.documentation import arguments_of, arguments_of_redis, headings
from tests.support.repository import ROOT
from tests.support.yaml_files import load_yaml

from rollbook.outbox import create_table

PAGE = "docs/how-to/runbook.md"
STATEMENTS = [arguments[-1] for arguments in arguments_of(PAGE, "psql")]
REDIS = [arguments_of_redis(arguments) for arguments in arguments_of(PAGE, "redis-cli")]


def test_statements_of_the_runbook_run(new_database: Callable[[], str]) -> None:
    with psycopg.connect(new_database(), autocommit=True) as connection:
        create_table(lambda statement: connection.execute(statement.encode()))
        for statement in STATEMENTS:
            connection.execute(statement.encode())
            if "RENAME" in statement:
                connection.execute("CREATE SCHEMA rollbook")
                connection.execute("CREATE TABLE rollbook.lifecycle_events (LIKE rollbook_broken.lifecycle_events)")

        assert connection.execute("SELECT to_regnamespace('rollbook_broken')").fetchone() == (None,)
    assert len(STATEMENTS) >= 8


def test_commands_of_the_runbook_for_redis_work(own_servers: Any) -> None:
    with connect_to_broker(own_servers.broker_url) as client:
        client.hset("unacked", "tag", "held")

        for words in REDIS:
            client.execute_command(*words)

        # the lease that it gives has ended long ago
        assert client.zscore("unacked_index", "tag") == 0
    assert len(REDIS) >= 3


def test_every_alert_names_a_section_of_the_runbook() -> None:
    rules = [
        rule
        for group in load_yaml((ROOT / "deploy" / "metrics" / "alerts.yml").read_text())["groups"]
        for rule in group["rules"]
    ]
    named = {rule["alert"]: re.findall(r"#([\w-]+)", rule["annotations"]["runbook"]) for rule in rules}

    assert [alert for alert, anchors in named.items() if not anchors] == []
    assert {anchor for anchors in named.values() for anchor in anchors} <= headings(ROOT / PAGE)
    assert [rule["alert"] for rule in rules if PAGE not in rule["annotations"]["runbook"]] == []


def test_the_doctor_names_the_address_of_the_runbook() -> None:
    advice = (ROOT / "producer" / "rollbook_ops" / "doctor" / "redis.py").read_text()

    assert PAGE in advice
    assert (ROOT / PAGE).exists()
