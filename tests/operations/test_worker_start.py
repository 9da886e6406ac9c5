"""A worker that cannot start prints the reason in one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.python_processes import run_python
from tests.support.waits import DEADLINE_SECONDS

URLS = {"ROLLBOOK_BROKER_URL": "redis://127.0.0.1:1/0", "ROLLBOOK_DATABASE_URL": "postgresql://127.0.0.1:1/app"}

WORKER = ("-m", "celery", "-A", "rollbook_worker.app", "worker", "-Q", "default")


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (
            {"ROLLBOOK_BROKER_URL": ""},
            "ROLLBOOK_BROKER_URL is not set; set it to a URL such as redis://127.0.0.1:6379/0",
        ),
        (
            {"ROLLBOOK_BROKER_URL": " redis://:S3cret@127.0.0.1:1/0"},
            "the broker's URL cannot be used; it must be like redis://:password@127.0.0.1:6379/0, without blanks, with "
            "the number of a database, and in the password %2F in place of a slash, %23 of #, %3F of ?",
        ),
        ({"ROLLBOOK_TRANSPORT": "bad"}, "ROLLBOOK_TRANSPORT must be rollbook or stock"),
        ({"ROLLBOOK_BATCH_SIZE": "0"}, "ROLLBOOK_BATCH_SIZE must be a number from 1 to 100,000,000"),
        ({"ROLLBOOK_METRICS_PORT": "70000"}, "ROLLBOOK_METRICS_PORT must be a number from 0 to 65,535"),
    ],
)
def test_a_setting_that_cannot_be_used_is_one_line(settings: dict[str, str], line: str) -> None:
    done = run_python(*WORKER, "--pool", "solo", env=os.environ | URLS | settings)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"rollbook: {line}\n"


UNKNOWN_POOL = """
from celery.concurrency.base import BasePool
class TaskPool(BasePool):
    pass
"""


def start(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Start a worker anew: Celery looks for its pools, and gevent replaces parts of Python, before all else."""
    return subprocess.run(
        [sys.executable, *WORKER, *arguments],
        env=os.environ | URLS | settings,
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_SECONDS,
    )


def test_a_pool_that_a_worker_cannot_run_with_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "own_pool.py").write_text(UNKNOWN_POOL)
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])

    done = start("--pool", "custom", CELERY_CUSTOM_WORKER_POOL="own_pool:TaskPool", PYTHONPATH=path)

    assert done.returncode == 1
    assert done.stderr == (
        "rollbook: a worker cannot run with the pool own_pool; start it with --pool threads, prefork or solo\n"
    )


@pytest.mark.parametrize("how", [("--pool", "gevent"), ("-P", "gevent")], ids=" ".join)
def test_gevent_is_rejected(how: tuple[str, ...]) -> None:
    done = start(*how)

    assert done.returncode == 1
    assert done.stderr == (
        "rollbook: a worker cannot run with the pool gevent; start it with --pool threads, prefork or solo\n"
    )


@pytest.mark.parametrize("how", ["defualt", "default,defualt"])
def test_a_queue_that_does_not_exist_is_one_line(how: str) -> None:
    done = start("--queues", how, "--pool", "solo")

    assert done.returncode == 1
    assert done.stderr == "rollbook: there is no queue defualt; the queues are default and bulk\n"
