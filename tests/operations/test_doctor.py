"""`rollbook doctor`: versions, workers, outbox, and the command itself."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from alembic.script import ScriptDirectory
from tests.support.operations.findings import HOUR, MARKED, NO_DATABASE, NO_REDIS, named
from tests.support.python_processes import run_python
from tests.support.worker_processes import Workers
from typer.testing import CliRunner

from rollbook.outbox import create_table
from rollbook_ops.cli.app import app
from rollbook_ops.doctor import Finding, Level, examine
from rollbook_ops.doctor.outbox import examine_outbox
from rollbook_ops.doctor.versions import check_postgres_version, check_redis_version, check_versions
from rollbook_ops.doctor.workers import check_replies
from rollbook_shared.errors import NotConfigured
from rollbook_shared.observability.inspection import VISIBILITY_SECONDS
from rollbook_shared.settings import Settings
from rollbook_worker.app import app as celery_app
from rollbook_worker.migrations import runner as migrating
from rollbook_worker.migrations.revisions import newest_revision


class TestOutbox:
    @pytest.fixture
    def url(self, fresh_database_url: str) -> str:
        return fresh_database_url

    @pytest.fixture
    def connection(self, url: str) -> Iterator[psycopg.Connection]:
        with psycopg.connect(url, autocommit=True) as connection:
            create_table(lambda statement: connection.execute(statement.encode()))
            yield connection

    @staticmethod
    def look(url: str) -> Finding:
        return named(examine_outbox(Settings(outbox_url=url)), "outbox")

    def test_without_an_outbox_nothing_is_reported(self, url: str) -> None:
        assert list(examine_outbox(Settings(database_url=url))) == []

    def test_a_missing_outbox_table_is_a_problem(self, url: str) -> None:
        assert self.look(url).level is Level.PROBLEM

    def test_an_outbox_that_is_not_available_is_a_problem(self) -> None:
        assert self.look(NO_DATABASE).level is Level.PROBLEM

    @pytest.mark.parametrize(("late", "level"), [(0, Level.OK), (60, Level.WARNING), (HOUR, Level.PROBLEM)])
    def test_unsent_jobs_are_reported_by_their_age(
        self, url: str, connection: psycopg.Connection, late: int, level: Level
    ) -> None:
        connection.execute(
            "INSERT INTO rollbook_outbox (id, digest, kind, body, due_at)"
            " VALUES ('j', '', 'identify', %s, now() - make_interval(secs => %s))",
            (MARKED, late),
        )

        found = self.look(url)

        assert (found.level, found.summary[:13]) == (level, "1 job to send")

    def test_jobs_that_are_not_finished_are_a_warning(self, url: str, connection: psycopg.Connection) -> None:
        connection.execute(
            "INSERT INTO rollbook_outbox (id, digest, kind, body, created_at, sent_at)"
            " VALUES ('j', '', 'identify', %s, now() - interval '1 hour', now())",
            (MARKED,),
        )

        found = self.look(url)

        assert found.level is Level.WARNING
        assert found.advice.startswith("Is a relay running")

    def test_jobs_that_the_broker_does_not_accept_are_a_warning(self, url: str, connection: psycopg.Connection) -> None:
        connection.execute(
            "INSERT INTO rollbook_outbox (id, digest, kind, body, created_at, due_at, attempts)"
            " VALUES ('j', '', 'identify', %s, now() - interval '2 hours', now() + interval '1 hour', 3)",
            (MARKED,),
        )

        found = named(examine_outbox(Settings(outbox_url=url)), "unsendable jobs")

        assert (found.level, found.summary) == (Level.WARNING, "1 job, the oldest from 2 h ago")
        assert self.look(url).summary.startswith("0 jobs to send")


class TestVersions:
    def test_another_series_of_celery_is_a_warning(self) -> None:
        found = {f.name: f.level for f in check_versions({"rollbook": "1", "celery": "5.8.0", "kombu": "5.7.1"})}

        assert found == {"rollbook": Level.OK, "celery": Level.WARNING, "kombu": Level.OK}

    def test_celery_is_not_required(self) -> None:
        assert [finding.name for finding in check_versions({"rollbook": "1"})] == ["rollbook"]

    @pytest.mark.parametrize(("number", "level"), [(130_012, Level.PROBLEM), (140_000, Level.OK)])
    def test_an_old_postgres_is_a_problem(self, number: int, level: Level) -> None:
        assert check_postgres_version(number).level is level

    @pytest.mark.parametrize(
        ("info", "level"),
        [
            ({"redis_version": "6.0.16"}, Level.PROBLEM),
            ({"redis_version": "6.2.0"}, Level.OK),
            ({"redis_version": "7.2.4", "valkey_version": "9.1.2"}, Level.OK),
        ],
    )
    def test_an_old_redis_is_a_problem(self, info: dict[str, object], level: Level) -> None:
        assert check_redis_version(info).level is level

    def test_the_newest_revision_is_the_one_that_alembic_finds(self) -> None:
        assert ScriptDirectory.from_config(migrating.alembic_config()).get_current_head() == newest_revision()

    def test_the_doctor_and_the_workers_use_one_visibility_timeout(self) -> None:
        assert celery_app.conf.broker_transport_options["visibility_timeout"] == VISIBILITY_SECONDS


class TestWorkers:
    @pytest.mark.parametrize(
        ("replies", "summary"),
        [
            ([], "0 workers on default, 0 workers on bulk replied"),
            ([{"a@x": [{"name": "default"}]}], "1 worker on default, 0 workers on bulk replied"),
            (
                [{"a@x": [{"name": "celery"}]}, {"b@x": {"error": "?"}}],
                "0 workers on default, 0 workers on bulk replied",
            ),
        ],
    )
    def test_a_queue_without_workers_is_a_problem(self, replies: list[dict[str, Any]], summary: str) -> None:
        found = check_replies(replies)

        assert (found.level, found.summary) == (Level.PROBLEM, summary)
        assert "-Q bulk" in found.advice

    def test_one_worker_may_consume_both_queues(self) -> None:
        assert check_replies([{"a@x": [{"name": "default"}, {"name": "bulk"}]}]).level is Level.OK


def test_a_healthy_stack_has_no_problem(
    workers: Workers, database_url: str, broker_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLLBOOK_DATABASE_URL", database_url)
    monkeypatch.setenv("ROLLBOOK_BROKER_URL", broker_url)
    before = CliRunner().invoke(app, ["doctor", "--json"])
    workers.start()

    after = CliRunner().invoke(app, ["doctor"])

    assert before.exit_code == 1
    assert [f["name"] for f in json.loads(before.stdout)["findings"] if f["level"] == "problem"] == ["workers"]
    assert (after.exit_code, json.loads(before.stdout)["ok"]) == (0, False)
    assert "1 worker on default, 1 worker on bulk replied" in after.stdout


def test_servers_that_are_not_available_are_reported_without_passwords() -> None:
    environment = os.environ | {"ROLLBOOK_DATABASE_URL": NO_DATABASE, "ROLLBOOK_BROKER_URL": NO_REDIS}

    done = run_python("-c", "from rollbook_ops.cli import main; main()", "doctor", env=environment)

    assert done.returncode == 1
    assert done.stdout.count("not available") == 2
    assert MARKED not in done.stdout + done.stderr


def test_a_missing_url_is_named() -> None:
    with pytest.raises(NotConfigured, match="ROLLBOOK_BROKER_URL"):
        list(examine(Settings(database_url=NO_DATABASE)))
