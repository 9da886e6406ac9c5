"""Messages that are not a job of a known kind and version."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from tests.support.robustness.invalid_jobs import AT, GOOD, InvalidCase

_VERSIONS: Final[list[object]] = [None, 0, 2, 99, -1, "1", "", True, [], [1], {}, 1.5, 1 << 70, "v1"]
_KINDS: Final[list[object]] = [
    None,
    7,
    True,
    [],
    ["identify"],
    {},
    {"identify": 1},
    "",
    " ",
    "identify ",
    "Identify",
    "IDENTIFY",
    "identify\0",
    "\ud800",
    "fly",
    "job",
    "__class__",
    "rollbook.identify",
    "' OR 1=1 --",
    "x" * 10_000,
    "删除",
]
_NO_JOBS: Final[list[str]] = [
    "",
    " ",
    "\0",
    "\ud800",
    "not json",
    "null",
    "true",
    "7",
    "-0.0",
    '"text"',
    "[]",
    "[1, 2]",
    "NaN",
    "{",
    "}",
    "{}}",
    '{"v": 1',
    '{"v": 1,}',
    "{'v': 1}",
    "[" * 3_000,
    "[" * 100_000,
    '{"a":' * 3_000,
    "]" * 3_000,
    "9" * 5_000,
    "\ufeff{}",
    "{} {}",
    "<job/>",
    "identify: {user: ann}",
    "\x80\x04\x95",
    "gASVDAAAAAAAAACMCGJ1aWx0aW5z",
    "\u2028",
    "%00",
    "${jndi:ldap://x}",
    "'; DROP TABLE rollbook.users; --",
]
_NO_TEXTS: Final[list[Any]] = [
    None,
    7,
    1.5,
    True,
    [],
    {},
    [1],
    {"v": 1},
    {"v": 1, "kind": "delete", "id": "d", "occurred_at": AT, "user_id": "u"},
    b"{}",
    b"\x80",
    ("a", "b"),
    10**30,
]


def unknown_jobs() -> Iterator[InvalidCase]:
    """Each of them."""
    for kind, body in GOOD.items():
        job = {"v": 1, "kind": kind, "id": f"strange-{kind}", "occurred_at": AT, **body}
        for number, version in enumerate(_VERSIONS):
            other = {**job, "id": f"version-{kind}-{number}", "v": version}
            yield _bad(f"{kind} of version {version!r}", json.dumps(other), "unknown_version", "version")
        yield _bad(f"{kind} without a version", json.dumps({**job, "v": None}), "unknown_version", "version")
        text = json.dumps(job)
        for cut in range(1, len(text), max(1, len(text) // 12)):
            yield _bad(f"{kind} cut after {cut} characters", text[:cut], "malformed", "not JSON")
        yield _bad(f"{kind} twice", text + text, "malformed", "not JSON")
        yield _bad(f"{kind} in a list", f"[{text}]", "malformed", "not an object")
        yield _bad(f"{kind} as text", json.dumps(text), "malformed", "not an object")
    for number, unknown in enumerate(_KINDS):
        job = {"v": 1, "kind": unknown, "id": f"kind-{number}", "occurred_at": AT, "user_id": "u"}
        yield _bad(f"kind {unknown!r:.40}", json.dumps(job), "unknown_kind", "kind")
    yield _bad("no kind", json.dumps({"v": 1, "id": "kindless", "occurred_at": AT}), "unknown_kind", "kind")
    yield _bad("nothing but braces", "{}", "unknown_version", "version")
    for text in _NO_JOBS:
        yield _bad(f"{len(text)} characters {text!r:.40}", text, "malformed", "the job is")
    for value in _NO_TEXTS:
        yield _bad(f"no text but {value!r:.40}", value, "malformed", "not text")


def _bad(name: str, message: object, code: str, word: str) -> InvalidCase:
    return InvalidCase(name=name, message=message, code=code, word=word)
