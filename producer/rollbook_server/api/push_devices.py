"""Push data that names devices, with the tokens of these, which Rollbook keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rollbook_shared.errors import Problem


def devices_as_tokens(data: Any, path: str, problems: list[Problem]) -> Any:
    """The data of a channel; if it names only `devices`, with its `tokens`.

    path: of the data in the request.
    problems: receives the devices that have no token.
    """
    devices = data.get("devices") if isinstance(data, Mapping) else None
    if not isinstance(devices, list) or "tokens" in data:
        return data
    tokens: list[str] = []
    for index, device in enumerate(devices):
        token = device.get("token") if isinstance(device, Mapping) else None
        if isinstance(token, str):
            tokens.append(token)
        else:
            problems.append(Problem(f"{path}.devices[{index}].token", "is required"))
    return {**data, "tokens": tokens}
