"""`rollbook up` is ready when it says so, keeps its processes running, and leaves none behind however it ends."""

from __future__ import annotations

import json
import signal
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.command_process import CommandProcess, running_command
from tests.support.waits import DEADLINE_SECONDS

from rollbook import Rollbook

pytestmark = [pytest.mark.slow, pytest.mark.servers]

_URLS = ("ROLLBOOK_BROKER_URL", "ROLLBOOK_DATABASE_URL")


def urls(command: CommandProcess) -> dict[str, str]:
    return {name: command.wait_for(f"{name}=").removeprefix(f"{name}=") for name in (*_URLS, "FLOWER_URL")}


@pytest.fixture
def running() -> Iterator[CommandProcess]:
    with running_command("up") as command:
        yield command


def test_a_second_terminal_can_use_the_stack(running: CommandProcess) -> None:
    found = urls(running)

    with Rollbook(broker_url=found["ROLLBOOK_BROKER_URL"], database_url=found["ROLLBOOK_DATABASE_URL"]) as rollbook:
        rollbook.users.identify("guest", {"plan": "pro"})
        rollbook.users.bulk_identify([{"id": "ann", "email": "ann@example.com"}])
        rollbook.users.merge("ann", "guest").wait(DEADLINE_SECONDS)
        job = rollbook.users.identify("ann", {"seats": 2})
        assert job.wait(DEADLINE_SECONDS).state == "applied"
        assert rollbook.users.get("ann").properties["seats"] == 2
    with urllib.request.urlopen(f"{found['FLOWER_URL']}/workers", timeout=DEADLINE_SECONDS) as page:
        assert page.status == 200

    running.process.send_signal(signal.SIGINT)
    assert running.wait() == 0
    assert running.left_behind() == []


def test_a_killed_worker_is_started_again_and_loses_no_job(running: CommandProcess) -> None:
    found = urls(running)
    running.wait_for("ready")
    (worker,) = [each for each in running.left_behind() if "--queues" in each.cmdline() and "default" in each.cmdline()]

    worker.kill()

    with Rollbook(broker_url=found["ROLLBOOK_BROKER_URL"], database_url=found["ROLLBOOK_DATABASE_URL"]) as rollbook:
        assert rollbook.users.identify("ann", {"seats": 2}).wait(DEADLINE_SECONDS).state == "applied"
    line = running.wait_for("started it again")
    assert line.startswith("worker-default-1 ended by itself (killed by SIGKILL); started it again; its log: ")
    assert line.endswith("worker-default-1.log")


def test_a_server_that_ends_is_named_and_ends_everything(running: CommandProcess) -> None:
    urls(running)
    (server,) = [each for each in running.left_behind() if each.name() in ("valkey-server", "redis-server")]

    server.kill()

    assert running.wait() == 1
    assert "valkey ended by itself (killed by SIGKILL); its log" in "".join(running.lines)
    assert running.left_behind() == []


def test_a_killed_stack_leaves_no_process(running: CommandProcess) -> None:
    urls(running)

    running.process.kill()

    running.process.wait()
    running.assert_nothing_is_left()


def test_data_and_urls_stay_for_the_next_run_even_if_its_urls_are_exported() -> None:
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o711)  # the servers run as another account when the tests run as root
        first = keep_one_user(Path(name) / "data", write=True, exported={})

        exported = {name: first[name] for name in _URLS}
        assert keep_one_user(Path(name) / "data", write=False, exported=exported) == first


def keep_one_user(data_dir: Path, *, write: bool, exported: dict[str, str]) -> dict[str, str]:
    """Run `up` once; write a user, or check that it exists."""
    as_json = [] if write else ["--json"]
    with running_command("up", "--data-dir", data_dir, *as_json, settings=exported) as command:
        found: dict[str, str] = json.loads(command.wait_for("{")) if as_json else urls(command)
        with Rollbook(broker_url=found["ROLLBOOK_BROKER_URL"], database_url=found["ROLLBOOK_DATABASE_URL"]) as rollbook:
            if write:
                rollbook.users.identify("ann", {"plan": "pro"}).wait(DEADLINE_SECONDS)
            assert rollbook.users.get("ann").properties == {"plan": "pro"}
        command.process.send_signal(signal.SIGTERM)
        assert command.wait() == 0
    return found
