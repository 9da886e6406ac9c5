"""A short hash of a registry, by which two processes are known to have read the same one."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from rollbook_shared.json_values import encode_json
from rollbook_shared.registry.models import Registry

_CHARACTERS: Final = 12


def registry_fingerprint(registry: Registry) -> str:
    """The hash of what a trigger does: channels, workflows and events. Everybody may know it: the options of senders,
    which may hold passwords, are left out.
    """
    workflows = registry.workflows
    shown = {
        "channels": sorted((channel.key, channel.type) for channel in registry.channels.values()),
        "workflows": workflows
        and sorted((each.key, each.channels, each.categories, each.active) for each in workflows.values()),
        "events": sorted(registry.events.items()),
    }
    return sha256(encode_json(shown)).hexdigest()[:_CHARACTERS]
