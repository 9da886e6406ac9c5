"""One user of the reference: its profile, its preferences, and what a merge makes of two."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rollbook_shared.jobs.models import AddPushToken, Merge, RemovePushToken, Trigger


@dataclass(slots=True)
class ReferenceUser:
    """The profile of one user; in the simplest form, like the rest of the reference."""

    updated: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)
    properties: dict[str, Any] = field(default_factory=dict)
    preferences: dict[str, Any] = field(default_factory=dict)
    channel_data: dict[str, Any] = field(default_factory=dict)
    sent_tokens: dict[tuple[str, str], str] = field(default_factory=dict)
    """Channel and push token to the stamp of the last time that this user sent it."""

    def merge(self, secondary: ReferenceUser, job: Merge) -> None:
        """Take over what the primary lacks, as rules 12 and 13 say."""
        self.attributes = _without_nulls(secondary.attributes) | _without_nulls(self.attributes)
        self.properties = _filled(self.properties, secondary.properties)
        for set_id, settings in secondary.preferences.items():
            if set_id in self.preferences and job.keep_opt_outs:
                self.preferences[set_id] = _with_opt_outs(self.preferences[set_id], settings)
            self.preferences.setdefault(set_id, settings)
        for token, at in secondary.sent_tokens.items():
            self.sent_tokens[token] = max(at, self.sent_tokens.get(token, at))
        for channel_id, data in secondary.channel_data.items():
            if channel_id not in self.channel_data:
                self.channel_data[channel_id] = data
                continue
            own = self.channel_data[channel_id]
            if job.merge_tokens and all(isinstance(either.get("tokens"), list) for either in (own, data)):
                both = own["tokens"] + data["tokens"]
                tokens = [token for place, token in enumerate(both) if token not in both[:place]]
                devices = [one for one in _list(data, "devices") if isinstance(one, dict)]
                devices = [one for one in devices if one.get("token") in data["tokens"]]
                devices = [one for one in devices if one.get("token") not in own["tokens"]]
                merged = {"devices": _list(own, "devices") + devices} if devices else {}
                self.channel_data[channel_id] = {**own, "tokens": tokens, **merged}

    def change_preferences(self, set_id: str, changes: Mapping[str, Any]) -> None:
        """Change single keys of a set, as rule 30 says."""
        settings = copy.deepcopy(self.preferences.get(set_id, {}))
        for section, values in changes.items():
            for key, value in values.items():
                if value is None:
                    settings.get(section, {}).pop(key, None)
                else:
                    settings.setdefault(section, {})[key] = value
            if not settings.get(section):
                settings.pop(section, None)
        if settings or set_id in self.preferences:
            self.preferences[set_id] = settings

    def set_channel_data(self, channel_id: str, data: Any) -> None:
        """Replace the data of a channel; its tokens were sent now."""
        self.channel_data[channel_id] = data
        for token in _list(data, "tokens"):
            if isinstance(token, str):
                self.sent_tokens[channel_id, token] = self.updated

    def change_token(self, job: AddPushToken | RemovePushToken) -> None:
        """Add or remove one push token, as rule 31 says."""
        if job.channel_id not in self.channel_data and isinstance(job, RemovePushToken):
            return
        data = dict(self.channel_data.pop(job.channel_id, {}))
        data["tokens"] = [token for token in _list(data, "tokens") if token != job.token]
        others = [one for one in _list(data, "devices") if not isinstance(one, dict) or one.get("token") != job.token]
        data["devices"] = others
        if isinstance(job, AddPushToken):
            self.sent_tokens[job.channel_id, job.token] = self.updated
            data["tokens"].append(job.token)
            if job.device is not None:
                data["devices"].append({"token": job.token, **job.device})
        data = {key: value for key, value in data.items() if value or key not in ("tokens", "devices")}
        if data:
            self.channel_data[job.channel_id] = data

    def allows(self, job: Trigger, channel: str) -> bool:
        """Whether the preferences allow a message of the trigger on the channel."""
        settings = self.preferences.get("default", {})
        if job.tenant is not None and job.tenant in self.preferences:
            settings = self.preferences[job.tenant]
        choices = [settings.get("channel_types", {}).get(channel)]
        choices.append(settings.get("workflows", {}).get(job.workflow))
        choices += [settings.get("categories", {}).get(category) for category in job.categories]
        return False not in [_on_channel(choice, channel) for choice in choices]

    def non_null_attributes(self) -> dict[str, Any]:
        """The attributes that have a value."""
        return _without_nulls(self.attributes)


def _list(data: Mapping[str, Any], key: str) -> list[Any]:
    return data[key] if isinstance(data.get(key), list) else []


def _on_channel(choice: Any, channel: str) -> Any:
    return choice["channel_types"].get(channel) if isinstance(choice, dict) else choice


def _with_opt_outs(own: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Own settings, with every opt-out of the other."""
    settings = copy.deepcopy(dict(own))
    for channel, choice in other.get("channel_types", {}).items():
        if choice is False:
            settings.setdefault("channel_types", {})[channel] = False
    for section in ("workflows", "categories"):
        for key, choice in other.get(section, {}).items():
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


def _filled(own: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """The own object, with what only the other has, at every depth."""
    filled = dict(own)
    for key, value in other.items():
        if key not in own:
            filled[key] = value
        elif isinstance(own[key], dict) and isinstance(value, dict):
            filled[key] = _filled(own[key], value)
    return filled
