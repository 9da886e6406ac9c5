"""What a worker says of the jobs in its hands when it is asked (`celery inspect active`, Flower's page of a worker)."""

from __future__ import annotations

from typing import Any, Final

from celery.worker.request import Request as StockRequest

REQUEST: Final = f"{__name__}:Request"


class Request(StockRequest):  # type: ignore[misc]  # Celery ships no types
    """A job in hand. Shows the summary that came with it, never the job."""

    def info(self, safe: bool = False) -> dict[str, Any]:
        """See Celery, which shows all arguments unless it is asked not to."""
        shown: dict[str, Any] = super().info(safe=True)
        return shown
