"""The programs in examples/http do what their page says, each where its language is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from tests.support.brokers import connect_to_broker
from tests.support.databases import delete_rows
from tests.support.repository import ROOT
from tests.support.server.cut_answers import cut_answers
from tests.support.server.running_server import SECRET_KEY, RunningServer, run_server
from tests.support.waits import DEADLINE_SECONDS

from rollbook_server.settings import ServerSettings

FOLDER = ROOT / "examples" / "http"
COMMANDS = {"mjs": ["node"], "go": ["go", "run"], "rb": ["ruby"], "php": ["php"]}


@pytest.fixture(scope="module")
def server(database_url: str, broker_url: str) -> Iterator[RunningServer]:
    with run_server(database_url, broker_url, ServerSettings()) as server:
        yield server


def test_each_program_has_a_command() -> None:
    assert {path.suffix[1:] for path in FOLDER.iterdir()} == set(COMMANDS)


@pytest.mark.parametrize("language", COMMANDS)
def test_a_program_makes_one_message_although_answers_are_lost(
    server: RunningServer, database_url: str, broker_url: str, language: str, tmp_path: Path
) -> None:
    if shutil.which(COMMANDS[language][0]) is None:
        pytest.skip(f"{COMMANDS[language][0]} is not installed")
    with psycopg.connect(database_url) as connection:
        delete_rows(connection)
    with connect_to_broker(broker_url) as broker:
        broker.flushdb()  # the programs write the same requests in other bytes, under the same keys
    with cut_answers(int(server.url.rpartition(":")[2]), 1) as cutter:
        environment = {
            **os.environ,
            "ROLLBOOK_SERVER_URL": f"http://127.0.0.1:{cutter.port}",
            "ROLLBOOK_SECRET_KEY": SECRET_KEY,
            "GOCACHE": str(tmp_path),
        }
        done = subprocess.run(
            [*COMMANDS[language], FOLDER / f"welcome.{language}"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )

    assert (done.returncode, done.stdout) == (0, "1 7\n"), done.stderr
    assert cutter.cut == 1
    with server.client() as api:
        assert api.get("/v1/users/ann").json()["plan"] == "pro"
