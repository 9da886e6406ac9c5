"""Ctrl-C during `rollbook import`: the next run continues, and no user is missing or sent twice."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tests.support.brokers import connect_to_broker
from tests.support.waits import DEADLINE_SECONDS

USERS = 40_000
ROLLBOOK = (sys.executable, "-c", "from rollbook_ops.cli import main; main()")


@pytest.fixture
def environment(broker_url: str) -> dict[str, str]:
    with connect_to_broker(broker_url) as client:
        client.flushdb()
    return os.environ | {"ROLLBOOK_BROKER_URL": broker_url}


def interrupt_under_way(process: subprocess.Popen[str], state: Path) -> None:
    """Press Ctrl-C once some users are sent."""
    end = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < end and process.poll() is None:
        if state.exists() and json.loads(state.read_text())["users"]:
            process.send_signal(signal.SIGINT)
            return
        time.sleep(0.002)
    raise AssertionError("the import was never under way")


def sent_ids(broker_url: str) -> list[str]:
    """The users of all jobs in the queue, each job once."""
    with connect_to_broker(broker_url) as client:
        messages = [json.loads(message) for message in client.lrange("bulk", 0, -1)]
    texts = [json.loads(message["body"])[0][0] for message in messages]
    jobs = {job["id"]: job for job in map(json.loads, texts)}
    return [user["id"] for _, job in sorted(jobs.items()) for user in job["users"]]


def test_an_interrupted_import_continues(environment: dict[str, str], broker_url: str, tmp_path: Path) -> None:
    file = tmp_path / "users.jsonl"
    file.write_text("".join(f'{{"id": "u{number}"}}\n' for number in range(USERS)))
    command = [*ROLLBOOK, "import", str(file), "--json"]
    process = subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    interrupt_under_way(process, tmp_path / "users.jsonl.rollbook-import.json")
    out, err = process.communicate(timeout=DEADLINE_SECONDS)

    assert process.returncode == 130
    assert err == "rollbook: interrupted; run the same command again to continue\n"
    assert json.loads(out) == {"error": "interrupted; run the same command again to continue"}
    assert 0 < len(sent_ids(broker_url)) < USERS

    done = subprocess.run(command, env=environment, text=True, capture_output=True, check=True)

    assert "continuing the import started at" in done.stderr
    assert json.loads(done.stdout)["users"] == USERS
    assert sent_ids(broker_url) == [f"u{number}" for number in range(USERS)]
    assert [path.name for path in tmp_path.iterdir()] == ["users.jsonl"]


def test_an_import_shows_its_progress_on_a_terminal(environment: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "users.jsonl"
    file.write_text("".join(f'{{"id": "u{number}"}}\n' for number in range(2_000)))
    ours, theirs = pty.openpty()
    shown = bytearray()

    def read() -> None:
        try:
            while data := os.read(ours, 4096):
                shown.extend(data)
        except OSError:  # the other end is closed
            pass

    reader = threading.Thread(target=read)
    reader.start()
    command = [*ROLLBOOK, "import", str(file)]
    done = subprocess.run(
        command, env=environment | {"TERM": "xterm"}, stdout=subprocess.PIPE, stderr=theirs, text=True, check=True
    )
    os.close(theirs)
    reader.join(DEADLINE_SECONDS)
    os.close(ours)

    assert b"importing" in shown
    assert b"users, " in shown
    assert done.stdout.startswith("sent 2,000 users in 20 jobs")
