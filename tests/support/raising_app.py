"""For `celery worker --include tests.support.raising_app`: jobs whose id begins with `mistake` raise an error."""

from __future__ import annotations

from tests.support.failing_store import stumble_over


def _mistake() -> None:
    raise RuntimeError("nobody thought of this")


stumble_over("mistake", _mistake)
