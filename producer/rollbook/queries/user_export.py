"""Query that gathers everything that is stored about one person (a subject-access export), as one JSON document."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from rollbook.queries.query import Rows, Statement, Steps, snapshot_query
from rollbook.queries.users import find_primary_id, find_profile
from rollbook_shared.database.statements import load
from rollbook_shared.domain.profile_sections import Section
from rollbook_shared.domain.stamps import INFINITY, Stamp, datetime_of, job_id_of, occurred_at_of

_SQL: Final = load(__package__, "exports")
_LISTS: Final = frozenset({"users", "recipients", "user_ids"})
"""The fields of jobs that list people."""
_SINGLES: Final = frozenset({"user", "actor"})
"""The fields of jobs that hold one person, as an id or as a user update."""

ABOUT: Final = {
    "what": "Everything that Rollbook stores about one person, under every id that stands for the person.",
    "profile": "The user as readers see it now, after merges; null if there is none, or none any more.",
    "profiles": "What was received under each id: of each key the newest value, and the job that set it.",
    "preferences": "Every version of a preference set, also those replaced since; null: removed. `changes`: the keys"
    " that a job changed, if it did not replace the set.",
    "push_tokens": "Push tokens that were added or removed one by one.",
    "push_tokens_sent": "When each push token was sent last, by its hash: of the users who sent one, the last gets what"
    " is pushed to it.",
    "identify_log": "When the ids were identified.",
    "lifecycle_events": "Deletes (no primary_id) and merges that name one of the ids.",
    "messages": "The messages to the person. `current` is false for messages that no user owns: older than a merge"
    " transfers, or sent before the person was known. Messages that preferences hide are here as well."
    " `delivery`: what became of a message that is to leave, and why.",
    "engagements": "Engagement with all messages on a channel at once (no message_id), and engagement that was recorded"
    " under one of the ids with messages that are not the person's.",
    "activities": "The triggers that named the person as a recipient.",
    "caused": "The triggers that named the person as the actor; the recipients are other people, and only counted.",
    "skipped": "Triggers that named one of the ids while no user had it.",
    "deferred_jobs": "Jobs that take effect later and name one of the ids, without what they say of other people.",
    "unapplied_jobs": "Rejected and cancelled jobs that name one of the ids. What else they said is not kept.",
    "dead_letters": "Jobs that could not be applied and name one of the ids. A message that is no job is shown as it"
    " is, and may name other people too: look at it before you hand it out.",
    "not_here": "Jobs that no worker has received yet (in the broker, or in your own outbox table); copies that are"
    " computed from the above; receipts of erasures, which hold no id. Times are UTC.",
}


@snapshot_query
def export_user(user_id: str) -> Steps[dict[str, Any]]:
    """The document of the person that the id stands for."""
    person = (yield from find_primary_id(user_id)) or user_id
    ids = [row["id"] for row in (yield from _rows("ids", person=person))]
    profile = yield from find_profile(person)
    events = yield from _rows("lifecycle_events", ids=ids)
    begun = {} if profile is None else _begun(events, ids, person)
    profiles = yield from _rows("profiles", ids=ids)
    preference_sets = yield from _rows("preference_sets", ids=ids)
    push_tokens = yield from _rows("push_tokens", ids=ids)
    push_tokens_sent = yield from _rows("push_tokens_sent", ids=ids)
    identify_log = yield from _rows("identify_log", ids=ids)
    history = {"ids": ids, "person": person, "begun": json.dumps(begun)}
    messages = yield from _rows("messages", **history)
    engagements = [
        *(yield from _rows("channel_engagements", ids=ids)),
        *(yield from _rows("other_engagements", ids=ids)),
    ]
    activities = yield from _rows("activities", **history)
    caused = yield from _rows("caused", **history)
    skipped = yield from _rows("skipped", ids=ids)
    deferred_jobs = yield from _rows("deferred_jobs", ids=ids)
    unapplied_jobs = yield from _rows("unapplied_jobs", ids=ids)
    dead_letters = yield from _rows("dead_letters", ids=ids)
    document = {
        "profile": None if profile is None else _profile(profile),
        "profiles": [_received(row, begun.get(row["id"], "")) for row in profiles],
        "preferences": [
            {
                "id": row["id"],
                "set": row["set_id"],
                "settings": row["settings"],
                **({} if row["changes"] is None else {"changes": row["changes"]}),
                **_when(row["stamp"]),
            }
            for row in _since(begun, preference_sets)
        ],
        "push_tokens": [
            {
                "id": row["id"],
                "channel": row["channel_id"],
                "token": row["token"],
                "device": row["device"],
                "added": row["is_added"],
                **_when(row["stamp"]),
            }
            for row in _since(begun, push_tokens)
        ],
        "push_tokens_sent": [
            {"id": row["id"], "channel": row["channel_id"], "token_hash": row["token_hash"], **_when(row["stamp"])}
            for row in _since(begun, push_tokens_sent)
        ],
        "identify_log": [{"id": row["id"], **_when(row["stamp"])} for row in _since(begun, identify_log)],
        "lifecycle_events": [
            {"user_id": row["user_id"], "primary_id": row["primary_id"], **_when(row["stamp"])} for row in events
        ],
        "messages": [_message(row) for row in messages],
        "engagements": [_engagement(row) for row in _since(begun, engagements)],
        "activities": [_activity(row) for row in activities],
        "caused": [_caused(row) for row in caused],
        "skipped": [_skipped(row, ids) for row in skipped],
        "deferred_jobs": [
            {"job_id": row["id"], "due_at": _utc(row["due_at"]), "job": _job(row["body"], ids)} for row in deferred_jobs
        ],
        "unapplied_jobs": [
            {
                "job_id": row["id"],
                "kind": row["kind"],
                "state": row["state"],
                "occurred_at": _utc(datetime_of(row["occurred_at"])),
                "finished_at": _utc(row["finished_at"]),
            }
            for row in unapplied_jobs
        ],
        "dead_letters": [_dead_letter(row, ids) for row in dead_letters],
    }
    return {"about": ABOUT, "id": person, "asked_for": user_id, "ids": ids, "held": any(document.values()), **document}


def _rows(statement: str, **parameters: object) -> Steps[Rows]:
    return (yield Statement(_SQL[statement], parameters))


def _begun(events: Rows, ids: list[str], person: str) -> dict[str, str]:
    """For each id, the stamp of the delete after which it stands for this person. Before, it stood for another person.

    Deletes of a merged-away id are ignored, so of such an id only deletes before its merge count.
    """
    begun: dict[str, str] = {}
    for id_ in ids:
        merges = [row["stamp"] for row in events if row["user_id"] == id_ and row["primary_id"] is not None]
        end = min(merges) if merges and id_ != person else INFINITY
        deletes = [row["stamp"] for row in events if row["user_id"] == id_ and row["primary_id"] is None]
        begun[id_] = max((at for at in deletes if at < end), default="")
    return begun


def _since(begun: Mapping[str, str], rows: Rows) -> Rows:
    return [row for row in rows if row["stamp"] > begun.get(row["id"], "")]


def _profile(row: Mapping[str, Any]) -> dict[str, Any]:
    attributes = {key.removeprefix("a."): value for key, value in row["profile"].items() if key.startswith("a.")}
    return {
        "attributes": attributes,
        "properties": row["properties"],
        "preferences": row["preferences"],
        "channel_data": row["channel_data"],
        "updated": _when(row["updated_stamp"]),
    }


def _received(row: Mapping[str, Any], begun: str) -> dict[str, Any]:
    stamps = {key: row["key_stamps"].get(key, row["base_stamp"]) for key in row["profile"]}
    return {
        "id": row["id"],
        "values": [
            {"section": Section(key[0]).name.lower(), "key": key[2:], "value": value, **_when(stamps[key])}
            for key, value in sorted(row["profile"].items())
            if stamps[key] > begun
        ],
    }


def _activity(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": str(row["id"]),
        "addressed_to": row["recipient"],
        "current": row["is_owned"],
        "actor": row["actor"],
        **_trigger(row),
    }


def _message(row: Mapping[str, Any]) -> dict[str, Any]:
    engagements: Mapping[str, Any] = row["engagements"] or {}
    return {
        **_activity(row),
        "channel": row["channel"],
        "engagements": {
            engagement: {"set": state["set"], **_when(state["stamp"])}
            for engagement, state in sorted(engagements.items())
        },
        "delivery": row["delivery"],
    }


def _engagement(row: Mapping[str, Any]) -> dict[str, Any]:
    which = {"message_id": str(row["message_id"])} if "message_id" in row else {"channel": row["channel"]}
    return {"id": row["id"], **which, "engagement": row["engagement"], "set": row["is_set"], **_when(row["stamp"])}


def _caused(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "named_as": row["actor"],
        "current": row["is_owned"],
        **_trigger(row),
        "recipients": row["recipients"],
        "messages": row["messages"],
    }


def _trigger(row: Mapping[str, Any]) -> dict[str, Any]:
    shared = {name: row[name] for name in ("workflow", "tenant", "categories", "data")}
    return {**shared, **_when(row["stamp"])}


def _skipped(row: Mapping[str, Any], ids: Collection[str]) -> dict[str, Any]:
    return {
        "job_id": row["id"],
        "kind": row["kind"],
        "state": row["state"],
        "occurred_at": _utc(datetime_of(row["occurred_at"])),
        "skipped": [id_ for id_ in row["skipped"] if id_ in ids],
    }


def _dead_letter(row: Mapping[str, Any], ids: Collection[str]) -> dict[str, Any]:
    shared = {name: row[name] for name in ("kind", "code", "reason")}
    body = bytes(row["body"]).decode(errors="replace")
    return {"job_id": row["id"], **shared, "failed_at": _utc(row["failed_at"]), "job": _job(body, ids)}


def _job(body: str, ids: Collection[str]) -> Any:
    """The job without other people: single ones keep their id only. A job that cannot be read is shown as it is."""
    try:
        job = json.loads(body, parse_constant=str)
    except (ValueError, RecursionError):
        return body
    if not isinstance(job, dict):
        return job
    return {key: _field(key, value, ids) for key, value in job.items()}


def _field(key: str, value: Any, ids: Collection[str]) -> Any:
    if key in _LISTS and isinstance(value, list):
        return [person for person in value if _is_named(person, ids)]
    if key in _SINGLES and isinstance(value, dict) and not _is_named(value, ids):
        return {"id": value.get("id")}
    return value


def _is_named(person: Any, ids: Collection[str]) -> bool:
    return (person.get("id") if isinstance(person, dict) else person) in ids


def _when(stamp: str) -> dict[str, str]:
    at = Stamp(stamp)
    return {"occurred_at": _utc(datetime_of(occurred_at_of(at))), "job_id": job_id_of(at)}


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()
