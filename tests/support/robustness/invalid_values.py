"""Values that are invalid for a field of their sort."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

ABSENT: Final = object()
"""The field is left out."""
RAW: Final = "raw-4711"
"""Stands in a job where JSON text of our own is put."""


@dataclass(frozen=True, slots=True)
class Raw:
    """JSON text that Python's own would not write, or not read; `code` is what becomes of a job that holds it."""

    text: str
    code: str = "invalid"


def nested(levels: int) -> Any:
    """A list within a list within a list..."""
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


_NO_TEXT: Final[dict[str, object]] = {
    "null": None,
    "true": True,
    "a number": 7,
    "a fraction": 1.5,
    "an empty list": [],
    "a list": ["u"],
    "an empty object": {},
    "an object": {"id": "u"},
    "a huge number": Raw("9" * 400),
}
_UNSTORABLE_TEXT: Final[dict[str, object]] = {
    "with NUL": "a\0b",
    "only NUL": "\0",
    "half a surrogate pair": "\ud800",
    "the other half": "tail \udfff",
}
_BAD_KEY: Final[dict[str, object]] = {
    **_NO_TEXT,
    **_UNSTORABLE_TEXT,
    "empty": "",
    "one too long": "x" * 257,
    "3,000 bytes long": "x" * 3_000,
    "3,000 bytes of umlauts": "ü" * 1_500,
}
_BAD_USER_ID: Final[dict[str, object]] = {
    **_BAD_KEY,
    "with a slash": "a/b",
    "with a hash": "a#b",
    "a path": "../../etc/passwd",
}
_UNSTORABLE_VALUE: Final[dict[str, object]] = {
    **_UNSTORABLE_TEXT,
    "NUL deep inside": {"lines": ["a", {"b": "\0"}]},
    "a surrogate deep inside": [[["\udc00"]]],
    "a key with NUL": {"k\0": 1},
    "a key of half a pair": {"\ud800": 1},
    "a key with NUL deep inside": [{"a": {"k\0": 1}}],
    "nested 40 levels": nested(40),
    "nested 300 levels": nested(300),
    "objects nested 40 levels": Raw('{"a":' * 40 + "1" + "}" * 40),
    "nested 3,000 levels": Raw("[" * 3_000 + "]" * 3_000, "malformed"),
    "objects nested 3,000 levels": Raw('{"a":' * 3_000 + "1" + "}" * 3_000, "malformed"),
    "NaN": Raw("NaN", "malformed"),
    "Infinity": Raw("Infinity", "malformed"),
    "minus Infinity": Raw("[-Infinity]", "malformed"),
    "too large for a double": Raw("1e999"),
    "too small for a double": Raw("[-1e999]"),
    "400 digits": Raw("9" * 400),
    "minus 400 digits": Raw("[-" + "9" * 400 + "]"),
    "5,000 digits": Raw("9" * 5_000, "malformed"),
    "a single quote": Raw("'a'", "malformed"),
    "nothing": Raw("", "malformed"),
    "a trailing comma": Raw("[1,]", "malformed"),
    "undefined": Raw("undefined", "malformed"),
    "a raw line break": Raw('"a\nb"', "malformed"),
    "a bad escape": Raw(r'"\x41"', "malformed"),
    "a comment": Raw("1 /* one */", "malformed"),
    "hexadecimal": Raw("0x10", "malformed"),
    "a leading zero": Raw("007", "malformed"),
}
_NO_OBJECT: Final[dict[str, object]] = {
    "null": None,
    "true": True,
    "a number": 7,
    "text": "text",
    "JSON as text": '{"a": 1}',
    "an empty list": [],
    "a list": [1],
    "pairs": [["a", 1]],
}
_NO_LIST: Final[dict[str, object]] = {
    "left out": ABSENT,
    "null": None,
    "true": True,
    "a number": 7,
    "text": "u",
    "an object": {"0": "u"},
    "empty": [],
    "a list in it": [[]],
    "null in it": [None],
    "a number in it": [7],
}
_BAD_SETTINGS: Final[dict[str, object]] = {
    **_NO_OBJECT,
    **{f"with {name}": {"workflows": value} for name, value in _NO_OBJECT.items()},
    "an unknown part": {"workflow": {"w": True}},
    "text for a setting": {"workflows": {"w": "yes"}},
    "a number for a setting": {"categories": {"c": 1}},
    "null for a setting": {"channel_types": {"push": None}},
    "text for a channel type": {"channel_types": {"push": "no"}},
    "a refinement of something else": {"workflows": {"w": {"channels": {}}}},
    "a refinement with a number": {"workflows": {"w": {"channel_types": {"push": 0}}}},
    "NUL in a key": {"workflows": {"w\0": True}},
    "nested 40 levels": {"workflows": {"w": nested(40)}},
}
_INVALID_TIMES: Final[dict[str, object]] = {
    "left out": ABSENT,
    "null": None,
    "true": True,
    "text": "now",
    "digits as text": "1700000000000000",
    "a date": "2026-01-31T09:30:00Z",
    "a fraction": 1.5,
    "a whole fraction": Raw("1.7e15"),
    "an empty list": [],
    "an object": {},
    "a microsecond before 1970": -1,
    "the year 1": -62_135_596_800_000_000,
    "the year 3111": 1 << 55,
    "beyond 64 bits": 1 << 64,
    "minus beyond 64 bits": -(1 << 64),
    "400 digits": Raw("9" * 400),
    "5,000 digits": Raw("9" * 5_000, "malformed"),
    "NaN": Raw("NaN", "malformed"),
    "infinite": Raw("1e999"),
}

INVALID_VALUES: Final[Mapping[str, Mapping[str, object]]] = MappingProxyType(
    {
        "user_id": {"left out": ABSENT, **_BAD_USER_ID},
        "listed user_id": _BAD_USER_ID,
        "key": {"left out": ABSENT, **_BAD_KEY},
        "listed key": _BAD_KEY,
        "tenant": {name: value for name, value in _BAD_KEY.items() if value is not None},
        "job_id": {
            "left out": ABSENT,
            **_NO_TEXT,
            **_UNSTORABLE_TEXT,
            "empty": "",
            "one too long": "x" * 129,
            "3,000 bytes long": "x" * 3_000,
            "with a space": "a b",
            "with a slash": "a/b",
            "with a line break at its end": "a\n",
            "with an exclamation mark": "a!0000",
            "with an umlaut": "ä",
        },
        "time": _INVALID_TIMES,
        "flag": {"null": None, "one": 1, "zero": 0, "yes": "yes", "text": "true", "empty": "", "a list": [True]},
        "unknown": {"a field that is not known": 1, "unknown, of null": None, "unknown, nested": nested(40)},
        "user update": {"left out": ABSENT, **_NO_OBJECT},
        "object": _NO_OBJECT,
        "value": _UNSTORABLE_VALUE,
        "attribute": {
            **{name: value for name, value in _NO_TEXT.items() if value is not None},
            **_UNSTORABLE_TEXT,
            "of nothing": "",
            "of no meaning": "~ ~",
            "of 3,000 bytes": "~ " * 1_500,
        },
        "name": {**{name: value for name, value in _NO_TEXT.items() if value is not None}, **_UNSTORABLE_TEXT},
        "reserved": {"is reserved": "x", "is reserved, of null": None},
        "settings": _BAD_SETTINGS,
        "changes": {name: value for name, value in _BAD_SETTINGS.items() if name != "null for a setting"},
        "token": {"left out": ABSENT, **_NO_TEXT, **_UNSTORABLE_TEXT, "empty": "", "4,097 characters": "x" * 4_097},
        "list": _NO_LIST,
        "channels": {name: value for name, value in _NO_LIST.items() if name != "left out"},
        "names": {name: value for name, value in _NO_LIST.items() if name not in ("left out", "empty")},
        "recipient": {name: value for name, value in _BAD_USER_ID.items() if name != "an object"},
        "actor": {name: value for name, value in _BAD_USER_ID.items() if name not in ("null", "an object")},
        "message_id": {
            "null": None,
            "a number": 7,
            "empty": "",
            "text": "m1",
            "a UUID and more": "8c7f4a52-3f0e-4f0a-9d8b-0000000000011",
            "a list": [],
            "with NUL": "\0",
        },
        "engagement": {
            "left out": ABSENT,
            "null": None,
            "true": True,
            "a number": 1,
            "empty": "",
            "another word": "opened",
            "in capitals": "SEEN",
            "a list": ["seen"],
            "an object": {},
            "with NUL": "seen\0",
        },
    }
)
"""By sort: what the value is, and the value."""
