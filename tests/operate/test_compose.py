"""docker-compose.yml asks each process that takes jobs whether it is well."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
from tests.test_house import OURS, known_variables

PROCESSES = ("live", "bulk", "upkeep")


@pytest.mark.parametrize("name", PROCESSES)
def test_a_process_that_lasts_is_asked_by_a_command_that_exists(name: str) -> None:
    program, *arguments = OURS[name]["healthcheck"]["test"][1:]

    assert (program, arguments[0]) == ("python", "-m")
    assert find_spec(f"{arguments[1]}.__main__")


@pytest.mark.parametrize("name", PROCESSES)
def test_it_says_so_where_it_is_asked(name: str) -> None:
    assert OURS[name]["environment"]["ROLLCALL_HEALTH_FILE"]
    assert "ROLLCALL_HEALTH_FILE" in known_variables()
