"""Names and ids may contain terminal control sequences, which the commands escape."""

from __future__ import annotations

import json
import subprocess

import pytest

from rollbook_ops.cli.output import fields_table, out, print_error, print_json, print_next_page, print_note

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
