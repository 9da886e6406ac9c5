"""One person of the reference: what is known of it, what it wants to hear of, what it takes over in a merge."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rollbook_shared.jobs.models import Merge, Trigger


@dataclass(slots=True)
class ReferenceUser:
    """What one person told, and what a merge makes of two; in the plainest way, like the rest of the reference."""

    updated: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)
    properties: dict[str, Any] = field(default_factory=dict)
    preferences: dict[str, Any] = field(default_factory=dict)
    channel_data: dict[str, Any] = field(default_factory=dict)

    def inherit(self, gone: ReferenceUser, job: Merge) -> None:
        """Take over what the primary lacks, as rules 12 and 13 say."""
        self.attributes = _without_nulls(gone.attributes) | _without_nulls(self.attributes)
        self.properties = _with_gaps_filled(self.properties, gone.properties)
        for set_id, settings in gone.preferences.items():
            if set_id in self.preferences and job.keep_opt_outs:
                self.preferences[set_id] = _opted_out_of(self.preferences[set_id], settings)
            self.preferences.setdefault(set_id, settings)
        for channel_id, data in gone.channel_data.items():
            mine = self.channel_data.setdefault(channel_id, data)
            if job.merge_tokens and all(isinstance(either.get("tokens"), list) for either in (mine, data)):
                tokens = list(mine["tokens"])
                tokens += [token for token in data["tokens"] if token not in tokens]
                self.channel_data[channel_id] = {**mine, "tokens": tokens}

    def wants(self, job: Trigger, channel: str) -> bool:
        """Whether the user lets a message of the trigger through."""
        settings = self.preferences.get("default", {})
        if job.tenant is not None and job.tenant in self.preferences:
            settings = self.preferences[job.tenant]
        choices = [settings.get("channel_types", {}).get(channel)]
        choices.append(settings.get("workflows", {}).get(job.workflow))
        choices += [settings.get("categories", {}).get(category) for category in job.categories]
        return False not in [_on_channel(choice, channel) for choice in choices]

    def own_attributes(self) -> dict[str, Any]:
        """The attributes that the person has: a null one is none."""
        return _without_nulls(self.attributes)


def _on_channel(choice: Any, channel: str) -> Any:
    return choice["channel_types"].get(channel) if isinstance(choice, dict) else choice


def _opted_out_of(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    """My settings, and no to whatever they said no to."""
    settings = copy.deepcopy(dict(mine))
    for channel, choice in theirs.get("channel_types", {}).items():
        if choice is False:
            settings.setdefault("channel_types", {})[channel] = False
    for section in ("workflows", "categories"):
        for key, choice in theirs.get(section, {}).items():
            if choice is False:
                settings.setdefault(section, {})[key] = False
            elif isinstance(choice, dict):
                for channel, choice_on_channel in choice["channel_types"].items():
                    already = settings.get(section, {}).get(key)
                    if choice_on_channel is False and already is not False:
                        if not isinstance(already, dict):
                            settings.setdefault(section, {})[key] = {"channel_types": {}}
                        settings[section][key]["channel_types"][channel] = False
    return settings


def _without_nulls(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if value is not None}


def _with_gaps_filled(mine: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    """My object, with what only theirs has, at every depth."""
    filled = dict(mine)
    for key, value in theirs.items():
        if key not in mine:
            filled[key] = value
        elif isinstance(mine[key], dict) and isinstance(value, dict):
            filled[key] = _with_gaps_filled(mine[key], value)
    return filled
