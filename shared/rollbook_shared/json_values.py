"""JSON values: which are accepted, and how they are encoded.

Accepted are the values that Postgres stores and every language reads back unchanged. Rejected are NUL and lone
surrogates (in keys too), NaN and infinities, keys that are not strings, nesting deeper than 32 levels, integers beyond
a double's range, and everything that is not JSON.

orjson encodes them, which takes a quarter of pydantic's time, and with sorted keys a sixth of that of Python's `json`.
Values that orjson rejects (integers of more than 64 bits, lone surrogates) are encoded by the slower one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, Final

import orjson

from rollbook_shared.limits import NESTING, NUMBER_BITS

COMMON_INTEGERS: Final = 1 << 63
"""Smaller integers are small enough; their bits need no counting."""
_CONTAINERS: Final = (dict, list, tuple)
CONTROLS: Final = (*range(0x20), *range(0x7F, 0xA0))
"""Control characters: a terminal interprets them, and a line break ends a line of a log."""
_CANONICAL: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), check_circular=False)
_NUL: Final = rb"\u0000"
"""As JSON has it. A text with a backslash may have these characters and no NUL."""
_ESCAPES: Final = {code: repr(chr(code))[1:-1] for code in CONTROLS} | {0: "\\0"}


def find_text_problem(text: str) -> str | None:
    """Why the text cannot be stored; None if it can."""
    if text.isascii():
        return "holds a NUL character" if "\0" in text else None
    if "\0" in text:
        return "holds a NUL character"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "holds a lone surrogate"
    return None


def parse_object(text: str) -> dict[str, Any] | None:
    """The JSON object that the text is; None if it is none. Its values may still be none that are accepted."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def find_value_problem(value: object, path: str) -> tuple[str, str] | None:
    """The path and the reason of the first part of `value` that cannot be stored; None if all can.

    It goes level by level and stops one level past the limit, so that the time does not grow with deeper nesting.
    """
    level: list[tuple[str, object]] = [(path, value)]
    for depth in range(NESTING + 1):
        inner: list[tuple[str, object]] = []
        for where, item in level:
            if isinstance(item, (dict, list, tuple)):
                if depth == NESTING:
                    return _branch(value, path, where), f"is nested deeper than {NESTING} levels"
                if problem := _key_problem(item, where):
                    return problem
                inner.extend(_children(item, where))
            elif reason := _scalar_problem(item):
                return where, reason
        level = inner
    return None


def is_storable(
    container: dict[Any, Any] | list[Any], *, texts_are_storable: bool = False, levels: int = NESTING
) -> bool:
    """Whether the container can certainly be stored. If False, `find_value_problem` decides, and says why not.

    It is much faster, as it keeps no paths. With `texts_are_storable` it does not check the texts.
    """
    if not levels:
        return False
    if type(container) is dict:
        if not texts_are_storable and not _has_storable_keys(container):
            return False
        items: Iterable[object] = container.values()
    else:
        items = container
    for item in items:
        if type(item) is str:
            if not texts_are_storable and not _is_storable_text(item):
                return False
        elif item is None or item is True or item is False:
            continue
        elif type(item) is int:
            if not -COMMON_INTEGERS < item < COMMON_INTEGERS:
                return False
        elif type(item) is float:
            if not math.isfinite(item):
                return False
        elif type(item) is dict or type(item) is list:
            if not is_storable(item, texts_are_storable=texts_are_storable, levels=levels - 1):
                return False
        else:
            return False
    return True


def are_storable(values: Sequence[object], *, levels: int = NESTING) -> bool:
    """Whether all of many parsed values, whose texts can be stored, certainly can be, if `encode_json` takes their
    integers. It takes one call for each level, and not one for each value.

    levels: of objects and lists that a value may have.
    """
    for _ in range(levels + 1):
        kinds = set(map(type, values))
        if float in kinds and not all(math.isfinite(item) for item in values if type(item) is float):
            return False
        if dict not in kinds and list not in kinds:
            return True
        objects: Any = values if kinds == {dict} else (item for item in values if type(item) is dict)
        lists: Any = values if kinds == {list} else (item for item in values if type(item) is list)
        values = [
            *(chain.from_iterable(map(dict.values, objects)) if dict in kinds else ()),
            *(chain.from_iterable(lists) if list in kinds else ()),
        ]
    return False


def deep_copy(value: Any) -> Any:
    """A copy of a storable value, so that a change of the caller's objects and lists changes no job."""
    if isinstance(value, dict):
        copy = dict(value)
        for key, item in value.items():
            if isinstance(item, _CONTAINERS):
                copy[key] = deep_copy(item)
        return copy
    if isinstance(value, (list, tuple)):
        return [deep_copy(item) if isinstance(item, _CONTAINERS) else item for item in value]
    return value


def encode_json(value: object, *, option: int = 0) -> bytes:
    """The value as JSON; integers of any size.

    option: of orjson, for what is written in more than one way.

    Raises:
        ValueError: it holds something that JSON cannot.
    """
    try:
        return orjson.dumps(value, option=option)
    except TypeError:
        from pydantic_core import to_json  # rarely needed, and a tenth of the time that the command line's help takes

        return to_json(value)


def encode_common(value: object) -> bytes | None:
    """The value as JSON, if its integers have at most 64 bits, its keys are strings, and all its texts can be stored.
    Otherwise, or perhaps, None: `find_value_problem` decides. It checks neither numbers that are not finite nor
    nesting, nor what else is no JSON value.

    The encoder rejects the first two and lone surrogates by itself, and a NUL is found in what it returns: at no cost
    for each text.
    """
    try:
        text = orjson.dumps(value)
    except TypeError:
        return None
    return None if _NUL in text else text


def decode_json(text: bytes) -> Any:
    """The value of a JSON text that `encode_json` has made of one whose integers have at most 64 bits."""
    return orjson.loads(text)


def canonical_json(value: object) -> bytes:
    """The value as JSON with sorted keys: equal values give the same bytes."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        return _CANONICAL.encode(value).encode()


def printable(text: str) -> str:
    """The text with escapes for control characters and lone surrogates, to show to people."""
    return text.translate(_ESCAPES).encode(errors="backslashreplace").decode()


def _has_storable_keys(container: dict[Any, Any]) -> bool:
    try:
        return _is_storable_text("".join(container))
    except TypeError:
        return False


def _is_storable_text(text: str) -> bool:
    return "\0" not in text if text.isascii() else find_text_problem(text) is None


def _children(
    container: dict[Any, object] | list[object] | tuple[object, ...], path: str
) -> Iterator[tuple[str, object]]:
    if isinstance(container, dict):
        return ((f"{path}.{key}", item) for key, item in container.items())
    return ((f"{path}[{index}]", item) for index, item in enumerate(container))


def _branch(value: object, path: str, where: str) -> str:
    """The path of the item of `value` that contains `where`; the full path would be too long to read."""
    items = _children(value, path) if isinstance(value, (dict, list, tuple)) else ()
    return max((begin for begin, _ in items if where.startswith(begin)), key=len, default=path)


def _key_problem(container: object, path: str) -> tuple[str, str] | None:
    if isinstance(container, dict):
        for key in container:
            if not isinstance(key, str):
                return path, "has a key that is not a string"
            if reason := find_text_problem(key):
                return path, f"has a key that {reason}"
    return None


def _scalar_problem(value: object) -> str | None:
    # bool is an int to isinstance; subclasses such as enums are written as their values
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, str):
        return find_text_problem(value)
    if isinstance(value, int):
        return "is a number too large to keep" if value.bit_length() > NUMBER_BITS else None
    if isinstance(value, float):
        return None if math.isfinite(value) else "is not a finite number"
    return f"is not a JSON value ({type(value).__name__})"
