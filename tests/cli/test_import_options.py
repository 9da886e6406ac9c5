"""`rollbook import` destroys no file, reads pipes, runs once at a time, and can only check."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.waits import DEADLINE_SECONDS

ROLLBOOK = [sys.executable, "-c", "from rollbook_ops.cli import main; main()"]
AWAY = "redis://127.0.0.1:1/0"


def run(*arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command with a broker that does not run: what only checks does not connect."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ROLLBOOK_")}
    return subprocess.run(
        [*ROLLBOOK, "import", *arguments],
        env={**inherited, "ROLLBOOK_BROKER_URL": AWAY},
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_SECONDS,
    )


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "users.csv"
    path.write_text("id,email,Phone Number\nann,a@example.com,\nbo,nowhere,\n")
    return path


@pytest.mark.parametrize("kind", ["itself", "symlink", "hard link"])
def test_the_source_is_not_overwritten(source: Path, kind: str) -> None:
    before = source.read_text()
    target = source if kind == "itself" else source.with_name("other.csv")
    if kind == "symlink":
        target.symlink_to(source)
    elif kind == "hard link":
        target.hardlink_to(source)

    done = run(source, "--rejected", target)

    assert done.returncode == 2
    assert "--rejected names users.csv, which the import needs; choose another file" in done.stderr
    assert source.read_text() == before


def test_check_sends_nothing_and_leaves_no_state(source: Path) -> None:
    rejected = source.with_name("rejected.csv")

    done = run(source, "--check", "--rejected", rejected)

    assert done.returncode == 1
    assert done.stdout == "checked; 1 user can be sent, rejected 1 record; nothing was sent\n"
    assert "the column Phone Number is read as phone_number" in done.stderr
    assert "must be an e-mail address" in done.stderr
    assert sorted(path.name for path in source.parent.iterdir()) == ["rejected.csv", "users.csv"]
    assert ",bo,nowhere," in rejected.read_text()


def test_check_counts_what_skip_bad_fields_would_leave_out(source: Path) -> None:
    summary = json.loads(run(source, "--check", "--skip-bad-fields", "--json").stdout)

    assert {name: summary[name] for name in ("users", "rejected", "bad_fields", "jobs", "first_job")} == {
        "users": 2,
        "rejected": 0,
        "bad_fields": 1,
        "jobs": 0,
        "first_job": None,
    }


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_a_pipe_is_read_and_cannot_be_continued(name: str) -> None:
    checked = run(name, "--format", "csv", "--check", stdin="id\nann\n")
    failed = run(name, "--format", "csv", stdin="id\nann\n")

    assert checked.stdout.startswith("checked; 1 user can be sent")
    assert "cannot be continued if it is interrupted" in checked.stderr
    assert failed.returncode == 1
    assert failed.stderr.rstrip().endswith("a pipe cannot be continued; import it again")


def test_a_substituted_process_is_read() -> None:
    command = f"{sys.executable} -c 'from rollbook_ops.cli import main; main()'"
    line = f"{command} import --format csv --check <(printf 'id\\nann\\n')"

    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False, timeout=DEADLINE_SECONDS)

    assert done.stdout.startswith("checked; 1 user can be sent")


def test_a_file_that_is_being_imported_is_not_imported_at_once(source: Path) -> None:
    with source.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)

        done = run(source)

    assert done.returncode == 2
    assert "users.csv is being imported by another process; wait until it ends" in done.stderr
