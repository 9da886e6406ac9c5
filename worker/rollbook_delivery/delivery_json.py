"""A delivery as JSON, as webhooks and Celery tasks get it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rollbook.models import Content, Delivery


def delivery_json(delivery: Delivery, content: Content | None) -> dict[str, Any]:
    """The JSON of the delivery with its content: what `Delivery.as_dict` gives."""
    return replace(delivery, content=content).as_dict()
