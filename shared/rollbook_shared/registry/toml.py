"""Reads the registry from TOML. Errors name the table and what it must be; those of syntax the line."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Final

from rollbook_shared.errors import NotConfigured
from rollbook_shared.registry.checks import Check
from rollbook_shared.registry.delivery import DELIVERY_KEYS, delivery_fields
from rollbook_shared.registry.models import IN_APP, Channel, Priority, Registry, Workflow

_TABLES: Final = ("channels", "workflows", "events")
_CHANNEL: Final = ("type", "provider", *DELIVERY_KEYS)
_WORKFLOW: Final = ("channels", "categories", "active", "priority")


def parse_registry(text: str, *, what: str = "the registry") -> Registry:
    """The registry in a TOML document.

    what: the document's name in errors.

    Raises:
        NotConfigured: it is no TOML, or has something that is not understood.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise NotConfigured(f"{what} is not valid TOML: {error}") from None
    check = Check(what)
    check.keys(document, "the file", _TABLES)
    channels = {key: _channel(check, key, value) for key, value in check.table(document, "channels").items()}
    if IN_APP not in channels:
        channels[IN_APP] = Channel(key=IN_APP, type=IN_APP)
    workflows = {
        key: _workflow(check, key, value, channels) for key, value in check.table(document, "workflows").items()
    }
    events = dict(check.table(document, "events"))
    for event, name in events.items():
        if not isinstance(name, str) or ("workflows" in document and name not in workflows):
            check.fail(f'[events]: "{event}" must be the key of a workflow')
    return Registry(channels=channels, workflows=workflows if "workflows" in document else None, events=events)


def _channel(check: Check, key: str, value: object) -> Channel:
    where = f'[channels."{key}"]'
    check.key(key, where)
    table = check.mapping(value, where)
    check.keys(table, where, _CHANNEL)
    type_ = check.text(table, "type", where, default=None)
    return Channel(
        key=key,
        type=type_,
        provider=check.text(table, "provider", where, default="") or None,
        **delivery_fields(check, table, where, type_),
    )


def _workflow(check: Check, key: str, value: object, channels: Mapping[str, Channel]) -> Workflow:
    where = f'[workflows."{key}"]'
    check.key(key, where)
    table = check.mapping(value, where)
    check.keys(table, where, _WORKFLOW)
    names = check.texts(table, "channels", where, default=(IN_APP,))
    for name in names:
        if name not in channels:
            check.fail(f'{where}: channels names "{name}", and there is no [channels."{name}"]')
    if not names:
        check.fail(f"{where}: channels must name at least one channel")
    return Workflow(
        key=key,
        channels=names,
        categories=check.texts(table, "categories", where),
        active=check.flag(table, "active", where, default=True),
        priority=check.choice(table, "priority", where, Priority, default=Priority.NORMAL),
    )
