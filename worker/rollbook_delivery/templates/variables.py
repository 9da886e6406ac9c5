"""What templates see of a delivery."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from rollbook.models import Delivery
from rollbook_shared.domain.attributes import ATTRIBUTES

USER_NAMES: Final = frozenset({"id", *ATTRIBUTES, "properties"})
"""Of `recipient` and `actor`. An attribute that the application has not sent is null: it is known, and empty."""
TENANT_NAMES: Final = frozenset({"id"})
WORKFLOW_NAMES: Final = frozenset({"key", "categories"})
MESSAGE_NAMES: Final = frozenset({"id", "channel", "type", "provider", "occurred_at"})
NAMES: Final[Mapping[str, frozenset[str] | None]] = {
    "recipient": USER_NAMES,
    "actor": USER_NAMES,
    "data": None,
    "tenant": TENANT_NAMES,
    "workflow": WORKFLOW_NAMES,
    "message": MESSAGE_NAMES,
}
"""What templates may name, with the names below it; None: those of the trigger's data."""


def variables_of(delivery: Delivery) -> dict[str, Any]:
    """The variables of a template, all of them JSON values. The same for each attempt of a delivery."""
    return {
        "recipient": _user(delivery.recipient),
        "actor": None if delivery.actor is None else _user(delivery.actor),
        "data": delivery.data,
        "tenant": None if delivery.tenant is None else {"id": delivery.tenant},
        "workflow": {"key": delivery.workflow, "categories": list(delivery.categories)},
        "message": {
            "id": delivery.id,
            "channel": delivery.channel,
            "type": delivery.type,
            "provider": delivery.provider,
            "occurred_at": delivery.occurred_at.isoformat(),
        },
    }


def _user(user: Mapping[str, Any]) -> dict[str, Any]:
    known: dict[str, Any] = dict.fromkeys(ATTRIBUTES)
    known |= {name: _as_json(value) for name, value in user.items() if name in USER_NAMES}
    known.setdefault("properties", {})
    return known


def _as_json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
