"""What a change of one push token makes of the data of a channel, and which tokens its data has."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

MAX_SENT_TOKENS: Final = 1_000
"""Of one value of a channel's data. Of a user with more devices, those beyond it stay with the user."""
_HASH_BYTES: Final = 16
"""Of a token's SHA-256: no two tokens of anybody have the same."""


def add_token(data: Mapping[str, Any] | None, token: str, device: Mapping[str, Any] | None) -> dict[str, Any]:
    """The channel's data with the token, as the last one, and its device in place of what was known of it before."""
    tokens, devices, others = _parts(data or {}, token)
    known = [] if device is None else [{"token": token, **device}]
    return _data([*tokens, token], [*devices, *known], others)


def remove_token(data: Mapping[str, Any], token: str) -> dict[str, Any] | None:
    """The channel's data without the token; None if nothing is left."""
    return _data(*_parts(data, token)) or None


def sent_tokens(data: object) -> tuple[str, ...]:
    """The tokens in the data of a channel, each once; of data in any other form, none."""
    tokens = data.get("tokens") if isinstance(data, Mapping) else None
    if not isinstance(tokens, list):
        return ()
    return tuple(dict.fromkeys(token for token in tokens[:MAX_SENT_TOKENS] if isinstance(token, str)))


def token_hash(token: str) -> bytes:
    """What a token is found by; a token may be too long for an index. Migration 0001 has the same in SQL."""
    return sha256(token.encode()).digest()[:_HASH_BYTES]


def _parts(data: Mapping[str, Any], token: str) -> tuple[list[Any], list[Any], dict[str, Any]]:
    """The other tokens, their devices, and all other keys. What is no list of tokens counts as none."""
    tokens, devices = data.get("tokens"), data.get("devices")
    return (
        [one for one in tokens if one != token] if isinstance(tokens, list) else [],
        [one for one in devices if not _is_of(one, token)] if isinstance(devices, list) else [],
        {key: value for key, value in data.items() if key not in ("tokens", "devices")},
    )


def _data(tokens: list[Any], devices: list[Any], others: dict[str, Any]) -> dict[str, Any]:
    return others | ({"tokens": tokens} if tokens else {}) | ({"devices": devices} if devices else {})


def _is_of(device: object, token: str) -> bool:
    return isinstance(device, Mapping) and device.get("token") == token


def all_devices(data: Mapping[str, Any]) -> dict[str, Any]:
    """The channel's data with a device for each token: token, locale, timezone. Data without tokens is as it was."""
    tokens, devices = data.get("tokens"), data.get("devices")
    if not isinstance(tokens, list):
        return dict(data)
    listed = devices if isinstance(devices, list) else []
    known = {one["token"]: one for one in listed if isinstance(one, Mapping) and isinstance(one.get("token"), str)}
    unknown = {"locale": None, "timezone": None}
    named = [{"token": token, **unknown, **known.get(token, {})} for token in tokens if isinstance(token, str)]
    return {**data, "devices": named}
