"""Messages in Redis that no client of ours makes: broken headers, other content, tasks of others."""

from __future__ import annotations

import json
import pickle
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from tests.support.robustness.invalid_jobs import AT, InvalidCase

from rollbook_shared.jobs.celery_task import DEFAULT_QUEUE, TASKS
from rollbook_worker.store import ReceivedJob

MARKED: Final = "marked-0815"
"""Stands in every message, and must never be seen in a log."""
_TASK: Final = TASKS["identify"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Envelope:
    """A list item of a queue, and a word of the reason that its dead letter must give."""

    name: str
    item: bytes
    text: str
    """Stands in the body of the dead letter."""
    word: str = ""


def job(case: InvalidCase, number: int) -> Envelope:
    """A job in an envelope like those of our senders."""
    text = ReceivedJob.of(case.message).text
    return Envelope(name=case.name, item=_item(number, [[case.message], {}, {}]), text=text, word=case.word)


def good(text: str, number: int, **headers: Any) -> bytes:
    """A good job, perhaps with more headers."""
    return _item(number, [[text], {}, {}], more=headers)


def foreign() -> Iterator[Envelope]:
    """Each that a worker can take from its queue; numbered from a million."""
    for number, (name, word, parts) in enumerate(_FOREIGN, 1_000_000):
        mark = f"{MARKED}-{number}"
        arguments = _marked(parts.get("arguments", [[f'"{MARKED}"'], {}, {}]), mark)
        others = {key: _marked(value, mark) for key, value in parts.items() if key != "arguments"}
        item = _item(number, arguments, **others)
        yield Envelope(name=name, item=item, text=mark if mark.encode() in _content(item) else "", word=word)


def unreadable() -> list[bytes]:
    """List items in which there is no message to be found, each with a mark of its own."""
    usual = json.loads(_item(3_000_000, [["x"], {}, {}]))
    properties = usual["properties"]
    changed: list[dict[str, Any]] = [
        {"properties": None},
        {"properties": []},
        {"properties": {}},
        {"properties": {**properties, "delivery_tag": None}},
        {"properties": {**properties, "delivery_tag": {}}},
        {"properties": {**properties, "delivery_info": None}},
        {"properties": {**properties, "delivery_info": "x"}},
        {"properties": {**properties, "body_encoding": "klingon"}},
        {"body": "not base 64!"},
        {"body": "ü"},
        {"body": 7},
        {"body": None},
        {"body": {}},
        {"headers": [1]},
        {"headers": "x"},
        {"headers": 7},
    ]
    odd = [b"", b"\0", b"\xff\xfe", b"null", b"7", b"[]", b'"text"', b"{", b"{}", b"[" * 50_000, b"O:8:x", b"not json"]
    own = [
        json.dumps({**usual, **_tagged(change, properties, number)} | {"mark": f"{MARKED}-{number}"}).encode()
        for number, change in enumerate(changed)
    ]
    return [*own, *(item + f" {MARKED}-{number}".encode() for number, item in enumerate(odd, len(own)))]


def _tagged(change: dict[str, Any], properties: dict[str, Any], number: int) -> dict[str, Any]:
    tagged = {**properties, **(change.get("properties") or {"delivery_tag": f"unreadable-{number}"})}
    return change if change.get("properties", ...) in (None, [], {}) else {**change, "properties": tagged}


def _marked(value: Any, mark: str) -> Any:
    """The value with the mark of its own in the place of the common one."""
    match value:
        case str():
            return value.replace(MARKED, mark)
        case bytes():
            return value.replace(MARKED.encode(), mark.encode())
        case dict():
            return {key: _marked(inner, mark) for key, inner in value.items()}
        case list():
            return [_marked(inner, mark) for inner in value]
        case _:
            return value


def _content(item: bytes) -> bytes:
    return b64decode(json.loads(item)["body"])


def _item(
    number: int,
    arguments: Any,
    *,
    task: Any = _TASK,
    body: bytes | None = None,
    type: str = "application/json",
    encoding: str = "utf-8",
    headers: Any = None,
    more: dict[str, Any] | None = None,
) -> bytes:
    """The message as kombu lays it into Redis."""
    own = {"task": task, "id": f"message-{number}", "lang": "py", "argsrepr": repr(arguments), "kwargsrepr": "{}"}
    content = json.dumps(arguments).encode() if body is None else body
    envelope = {
        "body": b64encode(content).decode(),
        "content-encoding": encoding,
        "content-type": type,
        "headers": own | (more or {}) if headers is None else headers,
        "properties": {
            "delivery_tag": f"tag-{number}",
            "body_encoding": "base64",
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": DEFAULT_QUEUE},
            "priority": 0,
        },
    }
    return json.dumps(envelope).encode()


def _newer() -> str:
    return json.dumps({"v": 1, "kind": "fly", "id": "newer", "occurred_at": AT, "user_id": MARKED})


def _protocol_1(task: str) -> bytes:
    return json.dumps({"task": task, "id": "old", "args": [MARKED], "kwargs": {}}).encode()


def _pickled() -> bytes:
    return pickle.dumps(0) + MARKED.encode()


class _Weapon:
    def __reduce__(self) -> Any:
        return (zlib.crc32, (b"it was opened",))


def _weapon() -> bytes:
    return pickle.dumps(_Weapon()) + MARKED.encode()


_FOREIGN: Final[list[tuple[str, str, dict[str, Any]]]] = [
    ("another's task", "other.task", {"task": "other.task"}),
    ("a task of Celery's own", "celery.map", {"task": "celery.map"}),
    ("the task of batches", "not text", {"task": "rollbook.batch", "arguments": [[7, MARKED], {}, {}]}),
    ("the task of burials", "not text", {"task": "rollbook.dead_letter", "arguments": [[7, MARKED], {}, {}]}),
    ("a task of a newer version", "kind", {"task": "rollbook.fly", "arguments": [[_newer()], {}, {}]}),
    ("a task that is a number", "names no task", {"task": 7}),
    ("a task that is a list", "names no task", {"task": [MARKED]}),
    ("a task that is an object", "names no task", {"task": {"a": MARKED}}),
    ("a task that is nothing", "names no task", {"task": None}),
    ("no task", "names no task", {"headers": {"id": MARKED}}),
    ("no headers", "names no task", {"headers": {}}),
    ("an eta that is none", "headers", {"more": {"eta": MARKED}}),
    ("an expiry that is none", "", {"more": {"expires": MARKED}}),
    ("an id that is a list", "", {"more": {"id": [MARKED]}}),
    ("a time limit that is text", "", {"more": {"timelimit": MARKED}}),
    ("retries that are text", "", {"more": {"retries": MARKED}}),
    ("pickled", "not accepted", {"type": "application/x-python-serialize", "body": _pickled()}),
    ("pickled, a weapon", "not accepted", {"type": "application/x-python-serialize", "body": _weapon()}),
    ("pickled, said to be JSON", "decoded", {"body": _pickled()}),
    ("YAML", "not accepted", {"type": "application/x-yaml", "body": b"- - marked-0815"}),
    ("MessagePack", "not accepted", {"type": "application/x-msgpack", "body": b"\x93\x91\xa1u\x80\x80"}),
    ("of no type", "", {"type": ""}),
    ("of an unknown type", "not accepted", {"type": "text/html", "body": b"<b>marked-0815</b>"}),
    ("bytes that are no UTF-8", "decoded", {"body": b"\xff\xfe\x00marked-0815"}),
    ("of an unknown encoding", "", {"encoding": "klingon"}),
    ("compressed in an unknown way", "compressed", {"more": {"compression": "application/x-lost"}}),
    ("compressed, but not", "compressed", {"more": {"compression": "application/x-gzip"}}),
    ("no arguments", "not text", {"arguments": []}),
    ("arguments that are an object", "not text", {"arguments": {"a": MARKED}}),
    ("arguments that are text", "not JSON", {"arguments": MARKED}),
    ("too few parts", "not text", {"arguments": [[MARKED]]}),
    ("too many parts", "not text", {"arguments": [[MARKED], {}, {}, {}]}),
    ("keyword arguments", "not text", {"arguments": [[], {"job": MARKED}, {}]}),
    ("two arguments", "not text", {"arguments": [[MARKED, MARKED], {}, {}]}),
    ("an empty body", "", {"body": b""}),
    ("nothing in the body", "", {"body": b"null"}),
    ("a body nested without end", "", {"body": b"[" * 100_000}),
    ("a number in the body", "", {"body": b"7"}),
    ("callbacks", "not JSON", {"arguments": [[MARKED], {}, {"callbacks": [{"task": "x"}]}]}),
    ("a chord", "not JSON", {"arguments": [[MARKED], {}, {"chord": {"task": "x"}}]}),
    ("protocol 1", "names no task", {"headers": {}, "body": _protocol_1(_TASK)}),
    ("protocol 1, another's", "names no task", {"headers": {}, "body": _protocol_1("other.task")}),
    (
        "protocol 1 without an id",
        "",
        {"headers": {}, "body": json.dumps({"task": _TASK, "args": [MARKED]}).encode()},
    ),
]
"""What it is, a word of the reason, and how it differs from a message of ours."""
