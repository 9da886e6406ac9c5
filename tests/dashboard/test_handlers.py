"""Which queues Flower lists, whichever workers answer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from rollbook_worker.app import app
from rollbook_worker.dashboard.handlers import QueueLengths, QueuesPage


@pytest.mark.parametrize("handler", [QueuesPage, QueueLengths])
@pytest.mark.parametrize(
    ("consumed", "listed"),
    [
        ([], ["bulk", "default"]),
        (["default"], ["bulk", "default"]),
        (["bulk"], ["bulk", "default"]),
        (["mail", "bulk"], ["bulk", "default", "mail"]),
    ],
)
def test_our_queues_are_listed_whichever_workers_answer(handler: Any, consumed: list[str], listed: list[str]) -> None:
    workers = {"one": {"active_queues": [{"name": name} for name in consumed]}, "two": {}}
    page = handler.__new__(handler)
    page.application = SimpleNamespace(workers=workers, capp=app)

    assert page.get_active_queue_names() == listed
