"""Encodes checked values as JSON with orjson, which takes a quarter of pydantic's time, and with sorted keys a sixth of
that of Python's `json`. Values that orjson rejects (integers of more than 64 bits, lone surrogates) are encoded by the
slower one.
"""

from __future__ import annotations

import json
from typing import Final

import orjson
from pydantic_core import to_json

_CANONICAL: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), check_circular=False)


def encode_json(value: object) -> bytes:
    """The value as JSON.

    Raises:
        ValueError: it holds something that JSON cannot.
    """
    try:
        return orjson.dumps(value)
    except TypeError:
        return to_json(value)


def canonical_json(value: object) -> bytes:
    """The value as JSON with sorted keys: equal values give the same bytes."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        return _CANONICAL.encode(value).encode()
