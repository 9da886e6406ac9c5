"""The seeded mistakes keep in step with the code; whether the tests notice them, `tests/defects/run.py` says."""

from __future__ import annotations

import pytest
from benchmarks.chaos.arguments import parse
from tests.defects.run import ROOT, spoiled
from tests.defects.seeded import DEFECTS, Defect
from tests.defects.under_fire import UNDER_FIRE


@pytest.mark.parametrize("defect", [*DEFECTS, *UNDER_FIRE], ids=lambda defect: defect.what)
def test_the_place_of_each_mistake_is_there_once_and_its_tests_exist(defect: Defect) -> None:
    text = (ROOT / defect.file).read_text()

    assert spoiled(defect, text) != text
    parse(defect.chaos)
    for test in defect.tests:
        assert test.startswith("-") or (ROOT / test.split("::")[0]).exists()
