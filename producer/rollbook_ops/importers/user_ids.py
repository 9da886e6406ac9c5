"""Rejects ids that are mistakes of the program that wrote the file, and removes blanks at both ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from rollbook.formats.records import FieldNames, MergeRecord, RejectedRecord, UserRecord
from rollbook.formats.timestamps import parse_offset_time
from rollbook_ops.importers.records import Record
from rollbook_shared.domain.attributes import ATTRIBUTES, attribute_problem, rfc3339
from rollbook_shared.domain.mistaken_ids import mistake_in_id, strip_blanks
from rollbook_shared.errors import Problem

_HAS_BLANKS: Final = "ids begin or end with a blank; --strip removes it"


def check_ids(record: Record, *, strip: bool) -> Record:
    """Return the record, rejected if an id in it is a mistake.

    strip: remove blanks at both ends of ids and attributes. Otherwise ids with blanks get a warning.
    """
    match record.content:
        case UserRecord() as content:
            user = _cleaned(content.user, strip=strip)
            if problem := mistake_in_id(user.get("id")):
                return _rejected(record, content.names, "id", problem)
            warnings = content.warnings
            if not strip and _has_blanks(user.get("id")):
                warnings = (*warnings, _HAS_BLANKS)
            return replace(record, content=replace(content, user=user, warnings=warnings))
        case MergeRecord() as merge:
            if strip:
                ids = {"primary_id": _stripped(merge.primary_id), "secondary_id": _stripped(merge.secondary_id)}
                merge = replace(merge, **ids)
            for name, value in (("user_id", merge.primary_id), ("from_user_id", merge.secondary_id)):
                if problem := mistake_in_id(value):
                    return _rejected(record, merge.names, name, problem)
            return replace(record, content=merge)
        case _:
            return record


def _rejected(record: Record, names: FieldNames, field: str, problem: str) -> Record:
    return replace(record, content=RejectedRecord((Problem(names.fields.get(field, field), problem),)))


def _cleaned(given: Mapping[str, Any], *, strip: bool) -> Mapping[str, Any]:
    """Return the user with the times as RFC 3339 writes them, and with `strip` without blanks."""
    user = dict(given)
    if strip:
        for name in ("id", *ATTRIBUTES):
            if isinstance(value := user.get(name), str) and (stripped := _stripped(value)) != value:
                user[name] = stripped
                if not stripped and name != "id":
                    del user[name]
    created_at = user.get("created_at")
    if isinstance(created_at, str) and attribute_problem("created_at", created_at):
        time = parse_offset_time(created_at)  # as Postgres writes it: 2024-01-05 10:00:00+00
        user |= {} if time is None else {"created_at": rfc3339(time)}
    return user


def _stripped(value: Any) -> Any:
    return strip_blanks(value) if isinstance(value, str) else value


def _has_blanks(value: object) -> bool:
    return isinstance(value, str) and strip_blanks(value) != value
