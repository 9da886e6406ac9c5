"""A worker that cannot start prints the reason in one line."""

from __future__ import annotations

import os

import pytest
from tests.support.python_processes import run_python

URLS = {"ROLLBOOK_BROKER_URL": "redis://127.0.0.1:1/0", "ROLLBOOK_DATABASE_URL": "postgresql://127.0.0.1:1/app"}


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
    worker = ["-m", "celery", "-A", "rollbook_worker.app", "worker", "-Q", "default", "--pool", "solo"]

    done = run_python(*worker, env=os.environ | URLS | settings)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"rollbook: {line}\n"
