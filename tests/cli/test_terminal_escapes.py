"""What others have told is shown, never obeyed: names and ids may hold what a terminal takes for commands."""

from __future__ import annotations

import json
import subprocess

import pytest

from rollbook_ops.cli.output import fields_table, out, print_error, print_json, print_next_page, print_note

NASTY = "a\x1b]0;owned\x07\x9b2J\nb\tc"
SHOWN = r"a\x1b]0;owned\x07\x9b2J\nb\tc"


def test_tables_write_control_characters_out(capsys: pytest.CaptureFixture[str]) -> None:
    out.print(fields_table(NASTY, {NASTY: NASTY, "properties": {"k": NASTY}}))

    said = capsys.readouterr().out
    assert said.count(SHOWN) == 3
    assert not set("\x1b\x07\x9b\t") & set(said)


@pytest.mark.parametrize("tell", [print_error, print_note])
def test_lines_write_control_characters_out(tell: object, capsys: pytest.CaptureFixture[str]) -> None:
    assert callable(tell)

    tell(NASTY)

    said = capsys.readouterr().err
    assert SHOWN in said
    assert said.count("\n") == 1


def test_json_holds_every_value_and_no_control_character(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"name": NASTY + "\x7fé"})

    said = capsys.readouterr().out
    assert json.loads(said) == {"name": NASTY + "\x7fé"}
    assert not set("\x1b\x07\x7f\x9b") & set(said)
    assert "é" in said


@pytest.mark.parametrize("after", ["ann", "a b", "it's", "[bold]", NASTY, "it's \\ \x1b[2J"], ids=ascii)
def test_the_way_to_go_on_can_be_pasted_into_a_shell(after: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_next_page(after)

    said = capsys.readouterr().err
    assert said.startswith("more: --after ")
    assert said.count("\n") == 1
    assert not set("\x1b\x07\x9b\t") & set(said)
    bash = f"printf %s {said.removeprefix('more: --after ')}"
    typed = subprocess.run(["bash", "-c", bash], capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"})
    assert typed.stdout.decode() == after
