"""The plain script runs unchanged, and prints what its comments promise."""

from __future__ import annotations

from pathlib import Path

from tests.support.examples.backends import Running
from tests.support.waits import DEADLINE_SECONDS
from tests.support.worker_processes import Workers


def test_the_script_prints_the_merged_user(running: Running, workers: Workers, tmp_path: Path) -> None:
    log = tmp_path / "script.log"

    assert running.start(log, "script.py").wait(DEADLINE_SECONDS) == 0

    assert log.read_text().splitlines() == [
        "merge: applied",
        "identify: applied",
        "Ann <ann@example.com> {'plan': 'pro', 'seen': {'docs': True}, 'theme': 'dark'}",
        "the guest is the customer now: True",
    ]
