"""The demo succeeds, can fail, and leaves no process behind when it is killed."""

from __future__ import annotations

import json
import signal

import psycopg
import pytest
from tests.support.command_process import running_command
from tests.support.waits import DEADLINE_SECONDS
from typer.testing import CliRunner

from rollbook_ops.cli.app import app
from rollbook_ops.demo.demo_database import DemoDatabase
from rollbook_ops.demo.postgres_world import read_world
from rollbook_shared.reference.world import World

pytestmark = [pytest.mark.slow, pytest.mark.servers]

_SMALL = ["demo", "--users", "300", "--no-flower", "--json"]


def test_the_demo_ends_equal_to_the_reference() -> None:
    with running_command("demo", "--users", "300", "--producers", "2", "--json") as command:
        assert command.wait() == 0, "".join(command.lines)

        report = json.loads(command.lines[-1])
        left = command.left_behind()

    assert report["equal_to_oracle"] is True
    assert report["applied"] == report["jobs"] > 60
    assert report["duplicates"] > 0
    assert report["dead"] == 0
    assert report["users"] > 300
    assert report.keys() == {
        "jobs", "applied", "duplicates", "dead", "users", "equal_to_oracle", "seconds", "jobs_per_second",
    }  # fmt: skip
    assert left == []


def test_a_corrupted_row_fails_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    corrupted: list[str] = []

    def corrupt_and_read(database: DemoDatabase) -> World:
        world = read_world(database)
        corrupted.append(max(user for user in world["users"] if user.startswith("user_")))
        with psycopg.connect(database.url) as connection:
            connection.execute(
                "UPDATE rollbook.users SET profile = profile || '{\"p.seats\": 9999}', "
                "resolved_profile = resolved_profile || '{\"p.seats\": 9999}' WHERE id = %s",
                (corrupted[0],),
            )
        return read_world(database)

    monkeypatch.setattr("rollbook_ops.demo.scenario.read_world", corrupt_and_read)

    result = CliRunner().invoke(app, _SMALL)

    assert result.exit_code == 1
    assert json.loads(result.stdout.splitlines()[-1])["equal_to_oracle"] is False
    assert f"users['{corrupted[0]}']['properties']['seats']" in result.stderr
    assert '"kind":"bulk_identify"' in result.stderr


_STEPS = ["starting Postgres", "migrating", "starting the workers", "producers send"]


@pytest.mark.parametrize("step", _STEPS)
@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda by: by.name)
def test_a_killed_demo_leaves_no_process(step: str, by: signal.Signals) -> None:
    with running_command("demo", "--users", "300") as command:
        command.wait_for(step)

        command.process.send_signal(by)

        assert command.process.wait(DEADLINE_SECONDS) in (-by, 128 + by)
        command.assert_nothing_is_left()
