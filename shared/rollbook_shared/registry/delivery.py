"""What a channel's table says of delivery."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from rollbook_shared.registry.checks import Check
from rollbook_shared.registry.models import NEEDS, Channel, DeliveryMethod

DELIVERY_KEYS: Final = (
    "delivery",
    "needs",
    "max_age",
    "attempts",
    "delay",
    "skip_seen",
    "per_second",
    "options",
)
NOTHING: Final = "nothing"
"""What `needs` says if any recipient can be reached."""
_MAX_ATTEMPTS: Final = 100
_MOST_PER_SECOND: Final = 1_000_000
_DEFAULT: Final = Channel(key="default", type="default")


def delivery_fields(check: Check, table: Mapping[str, Any], where: str, type_: str) -> dict[str, Any]:
    """The fields of `Channel` that are about delivery.

    Raises:
        NotConfigured: the table has something that is not understood.
    """
    if "delivery" not in table:
        for name in DELIVERY_KEYS:
            if name in table:
                check.fail(f"{where}: {name} has no effect without delivery")
        return {}
    max_age = check.duration(table, "max_age", where, default=_DEFAULT.max_age)
    delay = check.duration(table, "delay", where, default=_DEFAULT.delay)
    if max_age == timedelta(0) or delay >= max_age:
        check.fail(f"{where}: max_age must be longer than delay; no message would be sent")
    needs = check.text(table, "needs", where, default=NEEDS.get(type_, NOTHING))
    return {
        "delivery": check.choice(table, "delivery", where, DeliveryMethod, default=DeliveryMethod.CLAIM),
        "needs": None if needs == NOTHING else needs,
        "max_age": max_age,
        "attempts": check.number(table, "attempts", where, least=1, most=_MAX_ATTEMPTS, default=_DEFAULT.attempts),
        "delay": delay,
        "skip_seen": check.flag(table, "skip_seen", where, default=_DEFAULT.skip_seen),
        "per_second": _per_second(check, table, where),
        "options": dict(check.mapping(table.get("options", {}), f"{where}: options")),
    }


def _per_second(check: Check, table: Mapping[str, Any], where: str) -> float | None:
    value = table.get("per_second")
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= _MOST_PER_SECOND:
        check.fail(f"{where}: per_second must be a number that is more than 0")
    return float(value)
