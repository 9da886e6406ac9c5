"""Wrong usage, and servers that are not available: one line and an exit code, or one JSON object."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.support.waits import DEADLINE_SECONDS

from rollbook_ops.cli import main
from rollbook_shared.install_hint import install_hint

AWAY = "127.0.0.1:1"
POSTGRES, REDIS = f"postgresql://app:secret@{AWAY}/app", f"redis://:secret@{AWAY}/0"


class Done(NamedTuple):
    code: int
    out: str
    err: str


Typed = Callable[..., Done]


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    """Run a command with these settings and no others."""
    for name in [name for name in os.environ if name.startswith("ROLLBOOK_")]:
        monkeypatch.delenv(name)

    def typed(*words: str, **settings: str) -> Done:
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["rollbook", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code
        assert isinstance(code, int)
        return Done(code, *capsys.readouterr())

    return typed


def piped(line: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in which `R` is `rollbook`."""
    command = f"R() {{ {sys.executable} -c 'from rollbook_ops.cli import main; main()' \"$@\"; }}; {line}"
    # Many images set it, and few users do.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run(
        ["bash", "-c", command], env=environment, capture_output=True, text=True, check=False, timeout=DEADLINE_SECONDS
    )


@pytest.mark.parametrize(
    ("arguments", "settings", "code", "error"),
    [
        ("users get ann", {"ROLLBOOK_DATABASE_URL": POSTGRES}, 1, "the database could not be reached"),
        ("users get ann", {"ROLLBOOK_DATABASE_URL": "nonsense"}, 2, "the database's URL cannot be used"),
        ("users get ann", {"ROLLBOOK_DATABASE_URL": f"{POSTGRES}?no=such"}, 2, "has the option no"),
        ("users get a/b", {"ROLLBOOK_DATABASE_URL": POSTGRES}, 2, "user_id: must not contain / or #"),
        ("users get ann", {"ROLLBOOK_MAX_BULK_USERS": "many"}, 2, "ROLLBOOK_MAX_BULK_USERS must be a number from 1 to"),
        ("users get ann", {"ROLLBOOK_MAX_BULK_USERS": "inf"}, 2, "ROLLBOOK_MAX_BULK_USERS must be a number from 1 to"),
        (
            "users get ann",
            {"ROLLBOOK_MERGE_HISTORY_DAYS": "-1"},
            2,
            "ROLLBOOK_MERGE_HISTORY_DAYS must be a number from 0 to",
        ),
        ("users delete ann", {"ROLLBOOK_BROKER_URL": REDIS}, 1, "may not have been sent"),
        ("users delete ann", {"ROLLBOOK_BROKER_URL": "http://x"}, 2, "the broker's URL is not one of Redis"),
        ("erase a/b --now", {"ROLLBOOK_DATABASE_URL": POSTGRES}, 2, "user_id: must not contain / or #"),
        ("erase ann --now", {"ROLLBOOK_DATABASE_URL": f"{POSTGRES}?no=such"}, 2, "has the option no"),
        ("erase ann --now", {"ROLLBOOK_DATABASE_URL": POSTGRES}, 1, "the database is not available"),
    ],
)
def test_an_error_is_one_line_and_one_json_object(
    typed: Typed, arguments: str, settings: dict[str, str], code: int, error: str
) -> None:
    done = typed(*arguments.split(), "--json", **settings)

    assert done.code == code
    (line,) = done.err.splitlines()
    assert line.startswith("rollbook: ")
    assert error in line
    assert json.loads(done.out) == {"error": line.removeprefix("rollbook: ")}
    assert "secret" not in line


def test_migrate_rejects_a_url_that_is_not_of_postgres(typed: Typed) -> None:
    assert typed("migrate", ROLLBOOK_DATABASE_URL="nonsense").code == 2


@pytest.mark.parametrize("line", ["R migrate --print | head -1", "R outbox create --print | head -1"])
def test_a_closed_pipe_is_not_an_error(line: str) -> None:
    done = piped(line)

    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
def test_a_full_disk_is_one_line() -> None:
    done = piped("R outbox create --print > /dev/full")

    assert (done.returncode, done.stderr) == (1, "rollbook: No space left on device\n")


def test_closed_streams_are_not_written_to() -> None:
    done = piped("R --version >&- 2>&-; echo $?")

    assert (done.stdout, done.stderr) == ("0\n", "")


def test_the_demo_without_its_extra_names_it(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    done = typed("demo")

    assert (done.code, done.err) == (2, f"rollbook: the demo needs the extra `all`: {install_hint('all')}\n")


@pytest.mark.parametrize(
    ("name", "content", "arguments", "error"),
    [
        ("users.csv", b"id;email\nann;a@example.com\n", "", "separated by commas, and the first line has semicolons"),
        (
            "users.csv",
            b"contact,email\nann,a@example.com\n",
            "",
            "no column is named id; name the column that has the ids with --map",
        ),
        ("users.csv", b"sep=;\nid;email\n", "", "remove the first line, sep=;"),
        ("users.csv", "id,email\n".encode("utf-16"), "", "the file is UTF-16; save it as UTF-8"),
        ("users.csv", "id,email\r\n".encode("utf-16-le"), "", "the file has NUL bytes, as UTF-16 without a mark has"),
        ("users.csv", b"id,email\rann,a@example.com\r", "", "the lines end in a carriage return alone"),
        ("users.csv", b"id,\xfcber\n", "", "the first line is not UTF-8; save the file as UTF-8"),
        ("users.csv", b"PK\x03\x04", "", "the file is a workbook or a zip archive"),
        ("users.jsonl", b"\x1f\x8b\x08", "", "the file is compressed; unpack it with gunzip first"),
        ("users.csv", b"", "", "the file is empty"),
        ("users.txt", b"", "", "ends in neither .csv nor .jsonl; name its format with --format"),
        ("users.jsonl", b"", "--rejected {folder}/no/rejected.jsonl", "no/rejected.jsonl: No such file or directory"),
        ("users.jsonl", b"", "--state {file}/state", "Not a directory"),
        ("users.csv", b"id\nann\n", "--map Mail=email", "no column is named 'Mail', which --map names"),
        ("users.csv", b"id,E-Mail,Email\n", "", "'E-Mail' and 'Email' both mean email"),
    ],
)
def test_a_file_that_cannot_be_imported_is_one_line(
    typed: Typed, tmp_path: Path, name: str, content: bytes, arguments: str, error: str
) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    options = arguments.format(folder=tmp_path, file=file).split()

    done = typed("import", str(file), *options, "--json", ROLLBOOK_BROKER_URL=REDIS)

    assert done.code == 2
    (line,) = done.err.splitlines()
    assert error in line
    assert json.loads(done.out) == {"error": line.removeprefix("rollbook: ")}


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("import", "{folder}"), "is a directory"),
        (("import", "{folder}/missing.csv"), "does not exist"),
        (("import", "{file}", "--format", "xml"), "is not one of"),
        (("import", "{file}", "--anonymous"), "--anonymous: is for --format segment only"),
        (("import", "{file}", "--text", "zip", "--format", "jsonl"), "--text: is for --format csv only"),
        (("import", "{file}", "--map", "email", "--format", "csv"), "must be COLUMN=NAME, and not 'email'"),
        (("import", "{file}", "--map", "a=b", "--format", "knock"), "--map: is for --format csv and jsonl only"),
        (("import", "{file}", "--format", "knock", "--rejected", "{folder}/bad.csv"), "--rejected: must end in .jsonl"),
        (("import", "{file}", "--format", "csv", "--rejected", "{folder}/bad.jsonl"), "--rejected: must end in .csv"),
        (("import", "{file}", "--check", "--wait"), "--check: sends nothing"),
        (("import", "{file}", "--occurred-at", "yesterday"), "must be a time with its offset"),
        (("import", "{file}", "--occurred-at", "2026-01-31T09:30:00"), "must be a time with its offset"),
        (("import", "{file}", "--occurred-at", "2999-01-31T09:30:00Z"), "ahead of now"),
        (("users", "merge", "ann", "ann"), "must be another user than PRIMARY"),
        (("users", "export", "ann", "--output", "{folder}"), "is a directory"),
        (("jobs", "replay", "j", "--body", "{folder}/no.json"), "no.json cannot be read: No such file"),
        (("jobs", "replay", "j", "--body", "{latin}"), "is not UTF-8"),
        (("user", "list"), "Did you mean"),
    ],
)
def test_wrong_usage_is_explained(typed: Typed, tmp_path: Path, arguments: tuple[str, ...], error: str) -> None:
    file, latin = tmp_path / "users.csv", tmp_path / "latin.json"
    file.write_text("id\nann\n")
    latin.write_bytes(b'{"name": "\xe9"}')
    words = [part.format(folder=tmp_path, file=file, latin=latin) for part in arguments]

    done = typed(*words, ROLLBOOK_BROKER_URL=REDIS, ROLLBOOK_DATABASE_URL=POSTGRES, COLUMNS="250")

    assert done.code == 2
    assert error in " ".join(done.err.split())
    assert done.out == ""
