"""Reads what was received under the ids of an identity cluster, as what origins are read from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from rollbook.models import ExplainedEvent
from rollbook.queries.query import Rows, Statement, Steps
from rollbook.queries.value_origins import KeySet, Lifecycle, Received, SettingsChanged, TokenChanged
from rollbook_shared.database.statements import load
from rollbook_shared.domain.stamps import datetime_of, job_id_of, occurred_at_of

EXPLANATIONS: Final = load(__package__, "explanations")


class Members(NamedTuple):
    """The ids of a cluster, or the one id that belongs to none, with what was received under each."""

    ids: list[str]
    rows: Rows


def find_members(user_id: str) -> Steps[Members]:
    """The ids that share a cluster with this one, with their profiles. Without a row there is none."""
    root = yield from _root(user_id)
    if root is None:
        rows = yield Statement(EXPLANATIONS["member"], {"id": user_id})
    else:
        rows = yield Statement(EXPLANATIONS["members"], {"root": root})
    return Members([row["id"] for row in rows], rows)


def find_member_ids(user_id: str) -> Steps[list[str]]:
    """The same without profiles; an id that was never seen is its own."""
    root = yield from _root(user_id)
    if root is None:
        return [user_id]
    return [row["id"] for row in (yield Statement(EXPLANATIONS["member_ids"], {"root": root}))]


def _root(user_id: str) -> Steps[str | None]:
    rows = yield Statement(EXPLANATIONS["cluster"], {"id": user_id})
    return rows[0]["cluster_root"] if rows else None


def find_preference_changes(ids: Sequence[str]) -> Steps[list[Received]]:
    """Every change of the preference sets of the ids."""
    rows = yield Statement(EXPLANATIONS["versions"], {"ids": ids})
    return [
        KeySet(row["stamp"], row["user_id"], f"s.{row['set_id']}", row["settings"])
        if row["changes"] is None
        else SettingsChanged(row["stamp"], row["user_id"], row["set_id"], row["changes"])
        for row in rows
    ]


def find_token_changes(ids: Sequence[str]) -> Steps[list[Received]]:
    """Every change of a push token of the ids."""
    rows = yield Statement(EXPLANATIONS["token_changes"], {"ids": ids})
    return [
        TokenChanged(row["stamp"], row["user_id"], row["channel_id"], row["token"], row["device"], row["is_added"])
        for row in rows
    ]


def find_lifecycle_events(ids: Sequence[str]) -> Steps[list[Lifecycle]]:
    """The deletes and merges that name the ids, in stamp order."""
    rows = yield Statement(EXPLANATIONS["lifecycle_events"], {"ids": ids})
    events = [
        Lifecycle(row["stamp"], row["user_id"], row["primary_id"], row["keep_opt_outs"], row["merge_tokens"])
        for row in rows
    ]
    return sorted(events, key=lambda event: event.stamp)


def received_keys(rows: Rows) -> Iterator[Received]:
    """The keys of the profiles, each with the stamp of the job that set it last."""
    for row in rows:
        stamps: Mapping[str, Any] = row["key_stamps"]
        for key, value in row["profile"].items():
            yield KeySet(stamps.get(key, row["base_stamp"]), row["id"], key, value)


def event_of(event: Lifecycle, no_effect: str | None) -> ExplainedEvent:
    """The event as readers see it."""
    return ExplainedEvent(
        kind="delete" if event.primary_id is None else "merge",
        user_id=event.user_id,
        primary_id=event.primary_id,
        occurred_at=datetime_of(occurred_at_of(event.stamp)),
        job_id=job_id_of(event.stamp),
        no_effect=no_effect,
    )
