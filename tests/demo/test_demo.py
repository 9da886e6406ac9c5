"""The demo succeeds, can fail, and leaves no process behind when it is killed."""

from __future__ import annotations

import json
import signal

import pytest
from tests.support.command_process import running_command
from tests.support.waits import DEADLINE_SECONDS

pytestmark = [pytest.mark.slow, pytest.mark.servers]


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


def test_a_corrupted_row_fails_the_demo() -> None:
    arguments = ("demo", "--users", "300", "--producers", "1", "--no-flower", "--json")
    with running_command(*arguments, forked=True, module="tests.support.corrupted_demo") as command:
        user_id = command.wait_for("corrupted ").split()[-1]

        assert command.wait() == 1

    assert json.loads(command.lines[-1])["equal_to_oracle"] is False
    output = "".join(command.lines)
    assert f"users['{user_id}']['properties']['seats']" in output
    assert '"kind":"bulk_identify"' in output


_STEPS = ["starting Postgres", "migrating", "starting the workers", "producers send"]


@pytest.mark.parametrize("step", _STEPS)
@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda by: by.name)
def test_a_killed_demo_leaves_no_process(step: str, by: signal.Signals) -> None:
    with running_command("demo", "--users", "300", "--producers", "1", forked=True) as command:
        command.wait_for(step)

        command.process.send_signal(by)

        assert command.process.wait(DEADLINE_SECONDS) in (-by, 128 + by)
        command.assert_nothing_is_left()
