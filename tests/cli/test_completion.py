"""Shell completion: what the shells are given to install, and what they are answered."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rollcall.cli.app import app

ROLLCALL = (sys.executable, "-c", "import sys; sys.argv[0] = 'rollcall'; from rollcall.cli import main; main()")


def rollcall(*arguments: str, **environment: str) -> str:
    # else it looks for the shell that we were started from, and does not take one by name
    environment |= {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    done = subprocess.run(
        [*ROLLCALL, *arguments], env=os.environ | environment, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


def completed(line: str) -> list[str]:
    """What bash is offered for the last word of the line."""
    last = str(line.count(" "))
    asked = CliRunner(env={"_ROLLCALL_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": last})
    return asked.invoke(app, prog_name="rollcall").stdout.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("rollcall us", ["users"]),
        ("rollcall users e", ["export"]),
        ("rollcall jobs de", ["deferred", "dead"]),
        ("rollcall users merge --k", ["--keep-opt-outs"]),
        ("rollcall import --format k", ["knock"]),
        ("rollcall feed --status un", ["unseen", "unread"]),
        ("rollcall users list --where na", ["name="]),
    ],
)
def test_bash_is_offered_what_fits(line: str, offered: list[str]) -> None:
    assert completed(line) == offered


def test_bash_takes_the_script_and_asks_the_command(tmp_path: Path) -> None:
    script = tmp_path / "rollcall.bash"
    script.write_text(rollcall("--show-completion", "bash"))
    command = tmp_path / "rollcall"
    command.write_text(f"#!/bin/sh\nexec {shlex.join(ROLLCALL)}\n")
    command.chmod(0o755)

    # as bash calls it: the command, the word, the one before
    asks = f". {script}; COMP_WORDS=(rollcall us) COMP_CWORD=1; _rollcall_completion {command} us rollcall"
    answer = subprocess.run(
        ["bash", "-eu", "-c", f'{asks}; echo "${{COMPREPLY[*]}}"'], check=True, capture_output=True, text=True
    )

    assert answer.stdout == "users\n"


def test_it_installs_itself(tmp_path: Path) -> None:
    said = rollcall("--install-completion", "bash", HOME=str(tmp_path))

    assert "bash completion installed" in said
    assert (tmp_path / ".bash_completions" / "rollcall.sh").exists()
    assert "rollcall.sh" in (tmp_path / ".bashrc").read_text()
