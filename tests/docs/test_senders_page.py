"""The page about senders: its registries can be used, and the reference names every option and field."""

from __future__ import annotations

import json
from dataclasses import fields

import jsonschema
import pytest
from docs.site.generators import senders
from tests.support.documentation import blocks, table

from rollbook.models import Content, Delivery
from rollbook_delivery.senders.factory import make_sender
from rollbook_shared.registry import parse_registry

PAGE = "docs/how-to/send.md"
ENV = {
    "MAIL_PASSWORD": "p",
    "UNSUBSCRIBE_KEY": "k",
    "PUSH_SECRET": "whsec_" + "A" * 44,
    "CELERY_BROKER_URL": "redis://127.0.0.1:1/0",
    "SMS_URL": "twilio://SID:TOKEN@+15555550100/{address}",
}


@pytest.mark.parametrize("text", [block.text for block in blocks(PAGE, "toml")])
def test_each_registry_can_be_used(text: str) -> None:
    (channel,) = (channel for channel in parse_registry(text).channels.values() if channel.delivery)

    assert make_sender(channel, ENV) is not None


def test_every_option_is_listed() -> None:
    page = senders.options()

    for name, model in senders.OPTIONS.items():
        rows = {row[0]: row for row in table(page.partition(f"## {name}\n")[2], "option")}
        assert len(rows) == len(model.model_fields)
        assert all(meaning for _, _, meaning in rows.values())


def test_the_example_of_a_delivery_is_one() -> None:
    example = json.loads(senders.example().strip("`").removeprefix("json"))

    jsonschema.validate(example, senders.schema(), format_checker=jsonschema.FormatChecker())
    assert example["content"]["title"]


def test_every_field_of_a_delivery_is_described() -> None:
    schema = senders.schema()

    assert set(schema["properties"]) == {each.name for each in fields(Delivery)}
    assert [name for name, each in schema["properties"].items() if "description" not in each] == ["id"]
    assert all("description" in each for each in schema["$defs"]["Content"]["properties"].values())
    assert set(schema["$defs"]["Content"]["properties"]) == {each.name for each in fields(Content)}
