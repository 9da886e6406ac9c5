"""The origins of values in the reference: after each job, the leaves that it set have its stamp, and all others keep
theirs; a merge takes over the origins with the values. It shares nothing with `rollbook.queries.value_origins`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from rollbook_shared import jobs
from rollbook_shared.domain.attributes import ATTRIBUTES
from rollbook_shared.domain.stamps import stamp
from rollbook_shared.reference.oracle import HISTORY, Step, Tables, apply_all
from rollbook_shared.reference.person import ReferenceUser

Path = tuple[str, ...]


class ReferenceOrigin(NamedTuple):
    """A value that is no object, the stamp of the job that set it, and the id under which it arrived."""

    value: Any
    stamp: str
    user_id: str


Origins = dict[Path, ReferenceOrigin]


def origins(sent: Iterable[jobs.Job], *, history: timedelta = HISTORY, until: str | None = None) -> dict[str, Origins]:
    """Per user, the origin of each leaf of its values after the jobs `sent`, or after those stamped until then. An
    attribute that is null is none.
    """
    tables = Tables(history=history // timedelta(microseconds=1))
    known: dict[str, Origins] = {}
    for step in apply_all(tables, sent):
        if until is not None and stamp(step.occurred_at, step.job.id, step.ordinal) > until:
            break
        if isinstance(step.job, jobs.Merge):
            _take_over(step.job, tables, known)
        for user_id, prefix, at in _set_by(step):
            person = tables.canonical_id(user_id)
            if person in tables.users:
                known[person] = dict(_originated(tables.users[person], known.get(person, {}), prefix, at, user_id))
        for user_id in known.keys() - tables.users.keys():
            del known[user_id]
    return known


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """The parts of a value that are no objects, or empty ones, each with its path."""
    if isinstance(value, Mapping) and value:
        for key, part in value.items():
            yield from leaves(part, (*path, key))
    else:
        yield path, value


def _take_over(job: jobs.Merge, tables: Tables, known: dict[str, Origins]) -> None:
    """Origins after a merge: the primary's where it had the value, otherwise those of the user who is gone."""
    person = tables.canonical_id(job.primary_id)
    others = known.pop(job.secondary_id, {}) if job.secondary_id not in tables.users else {}
    if person in tables.users:
        own = known.get(person, {})
        known[person] = {
            path: own[path] if path in own and own[path].value == value else others[path]
            for path, value in _leaves_of(tables.users[person])
        }


def _originated(
    user: ReferenceUser, known: Origins, prefix: Path, at: str, user_id: str
) -> Iterator[tuple[Path, ReferenceOrigin]]:
    for path, value in _leaves_of(user):
        if path[: len(prefix)] == prefix:
            yield path, ReferenceOrigin(value, at, user_id)
        elif path in known:  # otherwise another prefix of the same job has it
            yield path, known[path]


def _leaves_of(user: ReferenceUser) -> Iterator[tuple[Path, Any]]:
    for name, value in user.non_null_attributes().items():
        yield ("attributes", name), value
    for name, value in user.properties.items():
        yield from leaves(value, ("properties", name))
    for set_id, settings in user.preferences.items():
        for section, choices in settings.items():
            for key, choice in choices.items():
                yield from leaves(choice, ("preferences", set_id, section, key))
    for channel_id, data in user.channel_data.items():
        for key, part in data.items():
            if key == "tokens" and isinstance(part, list):
                for token in part:
                    if isinstance(token, str):
                        yield ("channel_data", channel_id, key, token), token
            elif key != "devices":
                yield from leaves(part, ("channel_data", channel_id, key))


def _set_by(step: Step) -> Iterator[tuple[str, Path, str]]:
    """The user's id as the job names it, what the job set whole, and the stamp."""
    job, at = step.job, step.occurred_at
    if step.user_update is not None:
        yield from _set_by_update(step.user_update, stamp(at, job.id, step.ordinal))
        return
    match job:
        case jobs.Identify():
            yield from _set_by_update(job.user, stamp(at, job.id))
        case jobs.BulkIdentify():
            for ordinal, user_update in enumerate(job.users):
                if isinstance(user_update, jobs.UserUpdate):
                    yield from _set_by_update(user_update, stamp(at, job.id, ordinal))
        case jobs.Trigger():
            for ordinal, person in enumerate((job.actor, *job.recipients)):
                if isinstance(person, jobs.UserUpdate):
                    yield from _set_by_update(person, stamp(at, job.id, ordinal))
        case jobs.SetPreferences() | jobs.UnsetPreferences():
            yield job.user_id, ("preferences", job.set_id), stamp(at, job.id)
        case jobs.BulkSetPreferences():
            for ordinal, user_id in enumerate(job.user_ids):
                yield user_id, ("preferences", job.set_id), stamp(at, job.id, ordinal)
        case jobs.UpdatePreferences():
            changes: Mapping[str, Mapping[str, Any]] = job.changes  # type: ignore[assignment]
            for section, values in changes.items():
                for key in values:
                    yield job.user_id, ("preferences", job.set_id, section, key), stamp(at, job.id)
        case jobs.SetChannelData() | jobs.UnsetChannelData():
            yield job.user_id, ("channel_data", job.channel_id), stamp(at, job.id)
        case jobs.AddPushToken() | jobs.RemovePushToken():
            yield job.user_id, ("channel_data", job.channel_id, "tokens", job.token), stamp(at, job.id)
        case _:
            pass


def _set_by_update(user_update: jobs.UserUpdate, at: str) -> Iterator[tuple[str, Path, str]]:
    for name in user_update.traits:
        yield user_update.id, ("attributes" if name in ATTRIBUTES else "properties", name), at
    for set_id in user_update.preferences:
        yield user_update.id, ("preferences", set_id), at
    for channel_id in user_update.channel_data:
        yield user_update.id, ("channel_data", channel_id), at
