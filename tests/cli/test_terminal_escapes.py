"""Names and ids may contain terminal control sequences, which the commands escape."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rollbook_ops.cli.output import (
    fields_table,
    format_cell,
    out,
    print_error,
    print_exception,
    print_json,
    print_next_page,
    print_note,
)
from rollbook_ops.devstack import ServerFailed
from rollbook_shared.errors import RollbookError, Unavailable

NASTY = "a\x1b]0;owned\x07\x9b2J\nb\tc"
SHOWN = r"a\x1b]0;owned\x07\x9b2J\nb\tc"


def test_tables_escape_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    out.print(fields_table(NASTY, {NASTY: NASTY, "properties": {"k": NASTY}}))

    output = capsys.readouterr().out
    assert output.count(SHOWN) == 3
    assert not set("\x1b\x07\x9b\t") & set(output)


@pytest.mark.parametrize("print_line", [print_error, print_note])
def test_lines_escape_control_characters(print_line: object, capsys: pytest.CaptureFixture[str]) -> None:
    assert callable(print_line)

    print_line(NASTY)

    output = capsys.readouterr().err
    assert SHOWN in output
    assert output.count("\n") == 1


def test_json_keeps_values_and_escapes_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"name": NASTY + "\x7fé"})

    output = capsys.readouterr().out
    assert json.loads(output) == {"name": NASTY + "\x7fé"}
    assert not set("\x1b\x07\x7f\x9b") & set(output)
    assert "é" in output


@pytest.mark.parametrize("after", ["ann", "a b", "it's", "[bold]", NASTY, "it's \\ \x1b[2J"], ids=ascii)
def test_the_option_for_the_next_page_can_be_pasted_into_a_shell(
    after: str, capsys: pytest.CaptureFixture[str]
) -> None:
    print_next_page(after)

    output = capsys.readouterr().err
    assert output.startswith("more: --after ")
    assert output.count("\n") == 1
    assert not set("\x1b\x07\x9b\t") & set(output)
    bash = f"printf %s {output.removeprefix('more: --after ')}"
    typed = subprocess.run(["bash", "-c", bash], capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"})
    assert typed.stdout.decode() == after


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp1252"])
def test_what_the_encoding_of_the_output_lacks_is_escaped(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "users.csv"
    file.write_text("id\n")
    command = [sys.executable, "-c", "from rollbook_ops.cli import main; main()"]

    done = subprocess.run(
        [*command, "import", file, "--check", "--json", "--map", "\U0001f600\u0416=email"],
        env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "1"},
        capture_output=True,
        check=False,
    )

    assert done.returncode == 2
    assert rb"no column is named '\U0001f600\u0416'" in done.stderr
    assert json.loads(done.stdout)["error"].startswith("no column is named '\U0001f600\u0416'")


@pytest.mark.parametrize(
    "error", [ServerFailed("it failed; its log ends with:", details="one\ntwo"), Unavailable("it failed\none\ntwo")]
)
def test_an_error_of_several_lines_is_printed_as_lines(
    capsys: pytest.CaptureFixture[str], error: RollbookError
) -> None:
    print_exception(error)

    assert [line[:7] for line in capsys.readouterr().err.splitlines()] == ["rollboo", "one", "two"]


def test_a_cell_is_bounded() -> None:
    assert format_cell({"note": "x" * 200_000}).endswith("... (200,012 characters; --json shows all)")
    assert len(format_cell("\x1b" * 200_000)) < 5_000
    assert format_cell("x" * 1_000) == "x" * 1_000


def test_a_text_that_names_an_emoji_stays_text(capsys: pytest.CaptureFixture[str]) -> None:
    out.print(fields_table(":smile:", {":smile:": ":smile:"}))
    print_note(":smile:")
    print_error(":smile:")

    output = capsys.readouterr()
    assert output.out.count(":smile:") == 3
    assert output.err.count(":smile:") == 2
