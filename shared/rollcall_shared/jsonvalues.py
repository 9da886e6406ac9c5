"""Which JSON values are kept: those that Postgres stores and every language reads back the same.

Refused: NUL and lone surrogates (in keys too), NaN and infinities, keys that are not strings, nesting deeper than 32
levels, integers beyond a double's range, and whatever is not JSON at all.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from rollcall_shared.limits import NESTING, NUMBER_BITS


def text_problem(text: str) -> str | None:
    """Why this text cannot be stored, or None."""
    if text.isascii():
        return "holds a NUL character" if "\0" in text else None
    if "\0" in text:
        return "holds a NUL character"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "holds half of a surrogate pair"
    return None


def value_problem(value: object, path: str) -> tuple[str, str] | None:
    """The first (path, reason) that keeps `value` from being stored, or None.

    Walks level by level and stops one level past the limit, so that a value nested without end costs no more than one
    nested 33 deep.
    """
    level: list[tuple[str, object]] = [(path, value)]
    for depth in range(NESTING + 1):
        inner: list[tuple[str, object]] = []
        for where, item in level:
            if isinstance(item, (dict, list, tuple)):
                if depth == NESTING:
                    return path, f"is nested deeper than {NESTING} levels"
                if problem := _key_problem(item, where):
                    return problem
                inner.extend(_children(item, where))
            elif reason := _scalar_problem(item):
                return where, reason
        level = inner
    return None


def copied(value: Any) -> Any:
    """A value that has no problem, with objects and lists of its own: what callers do to theirs changes no job."""
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [copied(item) for item in value]
    return value


def printable(text: str) -> str:
    """The text with what cannot be stored or shown written out, for names that are quoted back to people."""
    return text.replace("\0", "\\0").encode(errors="backslashreplace").decode()


def _children(
    container: dict[Any, object] | list[object] | tuple[object, ...], path: str
) -> Iterator[tuple[str, object]]:
    if isinstance(container, dict):
        return ((f"{path}.{key}", item) for key, item in container.items())
    return ((f"{path}[{index}]", item) for index, item in enumerate(container))


def _key_problem(container: object, path: str) -> tuple[str, str] | None:
    if isinstance(container, dict):
        for key in container:
            if not isinstance(key, str):
                return path, "has a key that is not text"
            if reason := text_problem(key):
                return path, f"has a key that {reason}"
    return None


def _scalar_problem(value: object) -> str | None:
    # bool is an int to isinstance; subclasses such as enums are written as their values
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, str):
        return text_problem(value)
    if isinstance(value, int):
        return "is a number too large to keep" if value.bit_length() > NUMBER_BITS else None
    if isinstance(value, float):
        return None if math.isfinite(value) else "is not a finite number"
    return f"is not a JSON value ({type(value).__name__})"
