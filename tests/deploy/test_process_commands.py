"""Compose, the image and the documentation start a process with the same command."""

from __future__ import annotations

import json
import re

import pytest
from tests.deploy.image import stages
from tests.support.deploy.compose_file import OURS
from tests.support.deploy.process_commands import PROCESSES, meaning
from tests.support.documentation import table
from tests.support.repository import ROOT

ROWS = {
    row[0].rpartition(", ")[2].lower(): row[1]
    for row in table((ROOT / "docs" / "how-to" / "deploy.md").read_text(), "process")
}


@pytest.mark.parametrize("name", PROCESSES)
def test_compose_starts_the_process_of_each_service(name: str) -> None:
    assert meaning(OURS[name]["command"]) == meaning(PROCESSES[name])


def test_the_image_starts_a_default_worker_by_default() -> None:
    (command,) = [json.loads(rest) for word, rest in stages()[-1] if word == "CMD"]

    assert meaning(command) == meaning(PROCESSES["default"])


@pytest.mark.parametrize("name", [name for name in PROCESSES if name not in ("bulk", "migrate")])
def test_the_documentation_has_the_same_command(name: str) -> None:
    found = re.search(r"`([^`]+)`", ROWS[name])
    assert found

    assert meaning(found[1]) == meaning(PROCESSES[name])


def test_the_documentation_starts_bulk_workers_like_default_ones() -> None:
    said, default, bulk = (
        ROWS["bulk"],
        dict(meaning(PROCESSES["default"]).options),
        meaning(PROCESSES["bulk"]).options,
    )

    assert said.startswith("the same with `-Q bulk`")
    assert bulk == default | {"queues": "bulk"}


@pytest.mark.parametrize(
    "other",
    [
        PROCESSES["default"].replace("-Q default", "-Q default,bulk"),
        PROCESSES["default"] + " --pool prefork",
        PROCESSES["default"] + " -c 3",
    ],
)
def test_commands_of_other_meaning_differ(other: str) -> None:
    assert meaning(other) != meaning(PROCESSES["default"])


def test_commands_written_differently_are_equal() -> None:
    other = "/opt/rollbook/bin/rollbook worker --queues=default --hostname=x@%h --loglevel=DEBUG"

    assert meaning(other) == meaning(PROCESSES["default"])
