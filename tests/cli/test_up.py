"""`rollbook up` is ready when it says so, and leaves no process behind however it ends."""

from __future__ import annotations

import json
import signal
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.command_process import Started, started
from tests.support.waits import DEADLINE_SECONDS

from rollbook import Rollbook

pytestmark = pytest.mark.slow

_URLS = ("ROLLBOOK_BROKER_URL", "ROLLBOOK_DATABASE_URL")


def urls(command: Started) -> dict[str, str]:
    return {name: command.wait_for(f"{name}=").removeprefix(f"{name}=") for name in (*_URLS, "FLOWER_URL")}


@pytest.fixture
def running() -> Iterator[Started]:
    with started("up") as command:
        yield command


def test_a_second_terminal_can_use_the_stack(running: Started) -> None:
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


def test_a_process_that_ends_is_named_and_ends_everything(running: Started) -> None:
    urls(running)
    (worker,) = [each for each in running.left_behind() if "--queues" in each.cmdline() and "default" in each.cmdline()]

    worker.kill()

    assert running.wait() == 1
    assert "worker-default-1 ended by itself (killed by SIGKILL); its log" in "".join(running.lines)
    assert running.left_behind() == []


def test_a_killed_stack_leaves_no_process(running: Started) -> None:
    urls(running)

    running.process.kill()

    running.process.wait()
    running.assert_nothing_is_left()


def test_data_and_urls_stay_for_the_next_run() -> None:
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o711)  # the servers run as another account when the tests run as root
        first = keep_one_user(Path(name) / "data", write=True)

        assert keep_one_user(Path(name) / "data", write=False) == first


def keep_one_user(data_dir: Path, *, write: bool) -> dict[str, str]:
    """Run `up` once; write a user, or check that it exists."""
    as_json = [] if write else ["--json"]
    with started("up", "--no-flower", "--data-dir", data_dir, *as_json) as command:
        if as_json:
            found: dict[str, str] = json.loads(command.wait_for("{"))
        else:
            found = {name: command.wait_for(f"{name}=").removeprefix(f"{name}=") for name in _URLS}
        with Rollbook(broker_url=found["ROLLBOOK_BROKER_URL"], database_url=found["ROLLBOOK_DATABASE_URL"]) as rollbook:
            if write:
                rollbook.users.identify("ann", {"plan": "pro"}).wait(DEADLINE_SECONDS)
            assert rollbook.users.get("ann").properties == {"plan": "pro"}
        command.process.send_signal(signal.SIGTERM)
        assert command.wait() == 0
    return found
