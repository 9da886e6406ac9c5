"""For `celery worker --include tests.support.mistaken`: a mistake in the code, met by jobs whose id begins with it."""

from __future__ import annotations

from tests.support.stumbling import stumble_over


def _mistake() -> None:
    raise RuntimeError("nobody thought of this")


stumble_over("mistake", _mistake)
