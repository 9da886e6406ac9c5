"""The states of jobs and the codes of dead letters."""

from __future__ import annotations

import json
import re
from pathlib import Path

import rollbook_worker.celery_ext.transport
from rollbook_shared.job_states import DeadLetterCode, JobState

SCRIPT = Path(rollbook_worker.celery_ext.transport.__file__).parent / "scripts" / "message.lua"


def test_a_job_is_finished_unless_it_waits() -> None:
    assert {state for state in JobState if not state.is_final} == {JobState.QUEUED, JobState.DEFERRED}


def test_every_code_says_what_it_means_and_what_to_do() -> None:
    texts = [text for code in DeadLetterCode for text in (code.meaning, code.advice)]

    assert all(text.endswith(".") for text in texts)
    assert len({code.meaning for code in DeadLetterCode}) == len(DeadLetterCode)


def test_a_code_is_its_text() -> None:
    assert (f"{DeadLetterCode.ID_REUSED}", json.dumps(DeadLetterCode.ID_REUSED)) == ("id_reused", '"id_reused"')


def test_the_codes_that_the_transport_gives_are_among_them() -> None:
    reasons = re.search(r"local REASONS = \{(.*?)\n\}", SCRIPT.read_text(), re.DOTALL)
    assert reasons is not None

    given = re.findall(r"^  (\w+) =", reasons.group(1), re.MULTILINE)

    assert len(given) == 3
    assert set(given) <= set(DeadLetterCode)
