"""The seeded mistakes keep in step with the code; whether the tests notice them, `tests/mutations/run.py` says."""

from __future__ import annotations

import pytest
from benchmarks.chaos.arguments import parse
from tests.mutations.chaos_mutants import UNDER_FIRE
from tests.mutations.console_mutants import IN_THE_CONSOLE
from tests.mutations.mutants import DEFECTS, Defect
from tests.mutations.run import spoiled
from tests.mutations.server_mutants import IN_THE_SERVER
from tests.support.repository import ROOT


@pytest.mark.parametrize(
    "defect", [*DEFECTS, *IN_THE_SERVER, *IN_THE_CONSOLE, *UNDER_FIRE], ids=lambda defect: defect.what
)
def test_each_mutant_has_one_place_and_existing_tests(defect: Defect) -> None:
    text = (ROOT / defect.file).read_text()

    assert spoiled(defect, text) != text
    parse(defect.chaos)
    for test in defect.tests:
        assert test.startswith("-") or (ROOT / test.split("::")[0]).exists()
