"""Calls that the client rejects."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from rollbook import InvalidRequest, Limits
from rollbook.testing import RecordingRollbook, recording
from rollbook_shared.domain.stamps import microseconds

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)

Call = Callable[[RecordingRollbook], object]


def problems_of(call: Call, limits: Limits | None = None) -> list[tuple[str, str, int | None]]:
    rb = recording(clock=lambda: microseconds(NOW), limits=limits)
    with pytest.raises(InvalidRequest) as rejected:
        call(rb)
    assert rb.sent == []
    return [(problem.field, problem.reason, problem.index) for problem in rejected.value.problems]


def only_problem_of(call: Call, limits: Limits | None = None) -> tuple[str, str]:
    ((field, reason, _),) = problems_of(call, limits)
    return field, reason
