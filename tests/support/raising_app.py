"""For `celery worker --include tests.support.raising_app`: jobs whose id begins with `raising` raise an error."""

from __future__ import annotations

from tests.support.failing_store import fail_on_jobs


def _raise() -> None:
    raise RuntimeError("an unexpected error")


fail_on_jobs("raising", _raise)
