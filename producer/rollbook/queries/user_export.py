"""Gathers everything that is held of one person (a subject-access export), as one JSON document."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, select, text

from rollbook.queries.statements import load
from rollbook.queries.users import primary_of
from rollbook_shared.database.tables import current_users
from rollbook_shared.domain.sections import Section
from rollbook_shared.domain.stamps import Stamp, datetime_of, job_id_of, occurred_at_of

_QUERIES: Final = {name: text(sql) for name, sql in load("exports").items()}
_LISTS: Final = frozenset({"users", "recipients", "user_ids"})
"""The fields of jobs that are lists of people."""
_SINGLES: Final = frozenset({"user", "actor"})
"""The fields of jobs that are one person, perhaps with what is told of it."""

ABOUT: Final = {
    "what": "Everything that Rollbook holds of one person, under every id that stands for it.",
    "profile": "The user as readers see it now, after merges; null if there is none, or none any more.",
    "profiles": "What was received under each id: of each key the newest value, and the job that set it.",
    "preferences": "Every version of a preference set, also those replaced since; null: removed.",
    "identify_log": "When the ids were identified.",
    "lifecycle_events": "Deletes (no primary_id) and merges that name one of the ids.",
    "messages": "What was sent to the person. `current` is false for what belongs to nobody: left behind by a"
    " merge, or sent before the person was known. What the person did not want to hear of is here as well.",
    "activities": "What was triggered for the person.",
    "caused": "What the person did, as the actor of a trigger; the recipients are other people, and only counted.",
    "skipped": "Triggers that named one of the ids while it was nobody.",
    "deferred_jobs": "Jobs that are to take effect later and name one of the ids; of others in them nothing is shown.",
    "dead_letters": "Jobs that could not be applied and whose text has one of the ids. What cannot be read is shown as"
    " it is, and may speak of others too: look at it before you hand it out.",
    "not_here": "Jobs that no worker has taken yet (in the broker, or in your own outbox table); copies that are worked"
    " out from the above; receipts of erasures, which hold no id. Times are UTC.",
}


def find_export(connection: Connection, user_id: str) -> dict[str, Any]:
    """The document of the person that the id stands for. All reads must see one moment."""
    person = primary_of(connection, user_id) or user_id
    ids = [row["id"] for row in _rows(connection, "ids", person=person)]
    profile = connection.execute(select(current_users).where(current_users.c.id == person)).mappings().first()
    events = _rows(connection, "lifecycle_events", ids=ids)
    begun = {} if profile is None else _begun(events, ids, person)
    history = {"ids": ids, "person": person, "begun": json.dumps(begun)}
    texts = sorted({json.dumps(id_, ensure_ascii=ascii) for id_ in ids for ascii in (True, False)})
    document = {
        "profile": None if profile is None else _profile(profile),
        "profiles": [_received(row, begun.get(row["id"], "")) for row in _rows(connection, "profiles", ids=ids)],
        "preferences": [
            {"id": row["id"], "set": row["set_id"], "settings": row["settings"], **_when(row["stamp"])}
            for row in _since(begun, _rows(connection, "preference_sets", ids=ids))
        ],
        "identify_log": [
            {"id": row["id"], **_when(row["stamp"])}
            for row in _since(begun, _rows(connection, "identify_log", ids=ids))
        ],
        "lifecycle_events": [
            {"user_id": row["user_id"], "primary_id": row["primary_id"], **_when(row["stamp"])} for row in events
        ],
        "messages": [_message(row) for row in _rows(connection, "messages", **history)],
        "activities": [_triggered(row) for row in _rows(connection, "activities", **history)],
        "caused": [_caused(row) for row in _rows(connection, "caused", **history)],
        "skipped": [_skipped(row, ids) for row in _rows(connection, "skipped", ids=ids)],
        "deferred_jobs": [
            {"job_id": row["id"], "due_at": _utc(row["due_at"]), "job": _about(row["body"], ids)}
            for row in _rows(connection, "deferred_jobs", texts=texts)
        ],
        "dead_letters": [_letter(row, ids) for row in _rows(connection, "dead_letters", texts=texts)],
    }
    return {"about": ABOUT, "id": person, "asked_for": user_id, "ids": ids, "held": any(document.values()), **document}


def _rows(connection: Connection, name: str, **asked: object) -> list[RowMapping]:
    return list(connection.execute(_QUERIES[name], asked).mappings())


def _begun(events: list[RowMapping], ids: list[str], person: str) -> dict[str, str]:
    """From which stamp on each id speaks of this person: who used it before a delete was somebody else.

    A delete of an id that was merged away before is none, so of those ids only deletes before any merge count.
    """
    begun: dict[str, str] = {}
    for id_ in ids:
        merges = [row["stamp"] for row in events if row["user_id"] == id_ and row["primary_id"] is not None]
        end = min(merges) if merges and id_ != person else "~"
        deletes = [row["stamp"] for row in events if row["user_id"] == id_ and row["primary_id"] is None]
        begun[id_] = max((at for at in deletes if at < end), default="")
    return begun


def _since(begun: Mapping[str, str], rows: list[RowMapping]) -> list[RowMapping]:
    return [row for row in rows if row["stamp"] > begun.get(row["id"], "")]


def _profile(row: RowMapping) -> dict[str, Any]:
    attributes = {key.removeprefix("a."): value for key, value in row["profile"].items() if key.startswith("a.")}
    return {
        "attributes": attributes,
        "properties": row["properties"],
        "preferences": row["preferences"],
        "channel_data": row["channel_data"],
        "updated": _when(row["updated_stamp"]),
    }


def _received(row: RowMapping, begun: str) -> dict[str, Any]:
    stamps = {key: row["key_stamps"].get(key, row["base_stamp"]) for key in row["profile"]}
    return {
        "id": row["id"],
        "values": [
            {"section": Section(key[0]).name.lower(), "key": key[2:], "value": value, **_when(stamps[key])}
            for key, value in sorted(row["profile"].items())
            if stamps[key] > begun
        ],
    }


def _triggered(row: RowMapping) -> dict[str, Any]:
    return {
        "id": str(row["id"]),
        "addressed_to": row["recipient"],
        "current": row["is_owned"],
        "actor": row["actor"],
        **_trigger(row),
    }


def _message(row: RowMapping) -> dict[str, Any]:
    engagements: Mapping[str, Any] = row["engagements"] or {}
    return {
        **_triggered(row),
        "channel": row["channel"],
        "engagements": {
            engagement: {"set": state["set"], **_when(state["stamp"])}
            for engagement, state in sorted(engagements.items())
        },
    }


def _caused(row: RowMapping) -> dict[str, Any]:
    return {
        "named_as": row["actor"],
        "current": row["is_owned"],
        **_trigger(row),
        "recipients": row["recipients"],
        "messages": row["messages"],
    }


def _trigger(row: RowMapping) -> dict[str, Any]:
    shared = {name: row[name] for name in ("workflow", "tenant", "categories", "data")}
    return {**shared, **_when(row["stamp"])}


def _skipped(row: RowMapping, ids: Collection[str]) -> dict[str, Any]:
    return {
        "job_id": row["id"],
        "kind": row["kind"],
        "state": row["state"],
        "occurred_at": _utc(datetime_of(row["occurred_at"])),
        "skipped": [id_ for id_ in row["skipped"] if id_ in ids],
    }


def _letter(row: RowMapping, ids: Collection[str]) -> dict[str, Any]:
    shared = {name: row[name] for name in ("kind", "code", "reason")}
    body = bytes(row["body"]).decode(errors="replace")
    return {"job_id": row["id"], **shared, "failed_at": _utc(row["failed_at"]), "job": _about(body, ids)}


def _about(body: str, ids: Collection[str]) -> Any:
    """The job, of whose other people nothing but the ids of single ones is shown; as it is, if it cannot be read."""
    try:
        job = json.loads(body, parse_constant=str)
    except (ValueError, RecursionError):
        return body
    if not isinstance(job, dict):
        return job
    return {key: _mine(key, value, ids) for key, value in job.items()}


def _mine(key: str, value: Any, ids: Collection[str]) -> Any:
    if key in _LISTS and isinstance(value, list):
        return [person for person in value if _names(person, ids)]
    if key in _SINGLES and isinstance(value, dict) and not _names(value, ids):
        return {"id": value.get("id")}
    return value


def _names(person: Any, ids: Collection[str]) -> bool:
    return (person.get("id") if isinstance(person, dict) else person) in ids


def _when(stamp: str) -> dict[str, str]:
    at = Stamp(stamp)
    return {"occurred_at": _utc(datetime_of(occurred_at_of(at))), "job_id": job_id_of(at)}


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()
