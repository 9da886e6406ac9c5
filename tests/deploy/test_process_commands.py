"""Whatever starts one of Rollbook's processes says the same to it: here compose, the image and the documentation."""

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
def test_compose_starts_what_the_service_is_named_for(name: str) -> None:
    assert meaning(OURS[name]["command"]) == meaning(PROCESSES[name])


def test_the_image_is_a_live_worker_unless_it_is_told_otherwise() -> None:
    (command,) = [json.loads(rest) for word, rest in stages()[-1] if word == "CMD"]

    assert meaning(command) == meaning(PROCESSES["default"])


@pytest.mark.parametrize("name", [name for name in PROCESSES if name not in ("bulk", "migrate")])
def test_the_documentation_starts_it_likewise(name: str) -> None:
    found = re.search(r"`([^`]+)`", ROWS[name])
    assert found
    said, meant = meaning(found[1]), meaning(PROCESSES[name])

    assert said.program == meant.program
    # of Flower it leaves out how much is shown
    assert said.options.items() <= meant.options.items()
    assert name == "flower" or said.options == meant.options


def test_the_documentation_starts_workers_for_bulk_jobs_as_those_for_live_ones() -> None:
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
        PROCESSES["default"].replace("threads", "prefork"),
        PROCESSES["default"].replace(" --without-mingle", ""),
        PROCESSES["default"].replace("--concurrency 2", "-c 3"),
    ],
)
def test_a_command_that_means_another_thing_is_told_from_it(other: str) -> None:
    assert meaning(other) != meaning(PROCESSES["default"])


def test_a_command_that_is_written_in_another_way_is_not() -> None:
    other = (
        "/opt/rollbook/bin/celery --app=rollbook_worker.app worker -c 2 --pool=threads --queues=default "
        "--without-mingle --without-gossip --hostname=x@%h --loglevel=INFO"
    )

    assert meaning(other) == meaning(PROCESSES["default"])
