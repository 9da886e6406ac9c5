"""An error of a server that no command expects is one line all the same."""

from __future__ import annotations

import sys

import psycopg
import pytest
import redis

from rollbook_ops.cli import main

SECRET = "ann@example.com"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (psycopg.errors.DiskFull(SECRET), "a server failed: DiskFull; `rollbook doctor` looks at both"),
        (redis.ResponseError(f"WRONGTYPE {SECRET}"), "a server failed: ResponseError WRONGTYPE; "),
    ],
)
def test_a_server_error_is_one_line_without_values(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, said: str
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr("rollbook_ops.cli.app.app", fail)
    monkeypatch.setattr(sys, "argv", ["rollbook"])

    with pytest.raises(SystemExit) as ended:
        main()

    printed = capsys.readouterr().err
    assert ended.value.code == 1
    assert printed.startswith(f"rollbook: {said}")
    assert SECRET not in printed


def test_an_error_of_our_own_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("rollbook_ops.cli.app.app", fail)

    with pytest.raises(ZeroDivisionError):
        main()
