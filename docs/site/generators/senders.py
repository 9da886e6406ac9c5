"""The options of senders, and the JSON that webhooks and Celery tasks get, from the models that check and make them."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from docs.site.generators.source import summary, table, texts_below
from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

from rollbook.models import Content, Delivery
from rollbook_delivery.delivery_json import delivery_json
from rollbook_delivery.senders.apprise import AppriseOptions
from rollbook_delivery.senders.celery_task import CeleryOptions
from rollbook_delivery.senders.options import Options
from rollbook_delivery.senders.smtp_options import SmtpOptions
from rollbook_delivery.senders.unsubscribe import UnsubscribeOptions
from rollbook_delivery.senders.webhook import WebhookOptions

OPTIONS: Final[Mapping[str, type[BaseModel]]] = {
    "smtp": SmtpOptions,
    "smtp: unsubscribe": UnsubscribeOptions,
    "webhook": WebhookOptions,
    "apprise": AppriseOptions,
    "celery": CeleryOptions,
}
"""By what `delivery` says."""
_EXAMPLE: Final = Delivery(
    id="5b0c3f0e-6a1d-5b7e-8f43-2b1d1c0f7a99",
    channel="push",
    type="push",
    workflow="comment",
    categories=("social",),
    data={"page": 7},
    occurred_at=datetime(2026, 1, 30, 10, tzinfo=UTC),
    recipient={"id": "ann", "name": "Ann", "properties": {"plan": "pro"}},
    actor={"id": "bo", "name": "Bo", "properties": {}},
    tokens=("t1",),
    channel_data={"tokens": ["t1"]},
    lease_ends_at=datetime(2026, 1, 30, 10, 1, 30, tzinfo=UTC),
)


def options() -> str:
    """A section for each kind of delivery."""
    return "\n\n".join(
        f"## {name}\n\n{table('option', 'default', 'what it is', rows=_rows(model))}" for name, model in OPTIONS.items()
    )


def example() -> str:
    """A delivery as JSON."""
    content = Content(title="Bo answered you", text="Bo: Hi")
    return f"```json\n{json.dumps(delivery_json(_EXAMPLE, content), indent=2, ensure_ascii=False)}\n```"


def schema() -> dict[str, Any]:
    """The JSON schema of a delivery, with what stands below each field."""
    found = TypeAdapter(Delivery).json_schema(mode="serialization")
    _describe(found, Delivery)
    _describe(found["$defs"]["Content"], Content)
    return found


def schema_page() -> str:
    """The schema, as the indented content of an admonition."""
    text = f"```json\n{json.dumps(schema(), indent=2, ensure_ascii=False)}\n```"
    return "\n".join(f"    {line}" for line in text.splitlines())  # within an admonition


def _describe(schema: dict[str, Any], model: type) -> None:
    schema["description"] = summary(model.__doc__)
    for name, text in texts_below(model).items():
        schema["properties"][name]["description"] = text


def _rows(model: type[BaseModel]) -> list[tuple[str, str, str]]:
    fields = sorted(model.model_fields.items(), key=lambda item: item[0] in Options.model_fields)
    return [(f"`{field.alias or name}`", _default(field), _text(field)) for name, field in fields]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.default
    return "" if value is None or value == "" else f"`{json.dumps(value)}`"


def _text(field: FieldInfo) -> str:
    return " ".join(inspect.cleandoc(field.description or "").split())
