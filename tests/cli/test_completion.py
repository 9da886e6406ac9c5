"""Shell completion: the script that is installed, and the words that are offered."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.python_processes import run_python
from typer.testing import CliRunner

from rollbook_ops.cli.app import app

ROLLBOOK = ("-c", "import sys; sys.argv[0] = 'rollbook'; from rollbook_ops.cli import main; main()")


def rollbook(*arguments: str, **environment: str) -> str:
    # Otherwise Typer detects the shell that started this process, and does not accept one by name.
    environment |= {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    done = run_python(*ROLLBOOK, *arguments, env=os.environ | environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def completed(line: str) -> list[str]:
    """The words that bash is offered for the last word of the line."""
    last = str(line.count(" "))
    completion = CliRunner(env={"_ROLLBOOK_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": last})
    return completion.invoke(app, prog_name="rollbook").stdout.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("rollbook us", ["users"]),
        ("rollbook users e", ["export", "explain"]),
        ("rollbook jobs de", ["deferred", "dead"]),
        ("rollbook users merge --k", ["--keep-opt-outs"]),
        ("rollbook import --format k", ["knock"]),
        ("rollbook feed --status un", ["unseen", "unread"]),
        ("rollbook users list --where na", ["name="]),
    ],
)
def test_completion_offers_matching_words(line: str, offered: list[str]) -> None:
    assert completed(line) == offered


def test_bash_runs_the_completion_script(tmp_path: Path) -> None:
    script = tmp_path / "rollbook.bash"
    script.write_text(rollbook("--show-completion", "bash"))
    command = tmp_path / "rollbook"
    command.write_text(f"#!/bin/sh\nexec {shlex.join([sys.executable, *ROLLBOOK])}\n")
    command.chmod(0o755)

    # Bash passes the command, the word, and the word before.
    asks = f". {script}; COMP_WORDS=(rollbook us) COMP_CWORD=1; _rollbook_completion {command} us rollbook"
    answer = subprocess.run(
        ["bash", "-eu", "-c", f'{asks}; echo "${{COMPREPLY[*]}}"'], check=True, capture_output=True, text=True
    )

    assert answer.stdout == "users\n"


def test_completion_installs_itself(tmp_path: Path) -> None:
    output = rollbook("--install-completion", "bash", HOME=str(tmp_path))

    assert "bash completion installed" in output
    assert (tmp_path / ".bash_completions" / "rollbook.sh").exists()
    assert "rollbook.sh" in (tmp_path / ".bashrc").read_text()
