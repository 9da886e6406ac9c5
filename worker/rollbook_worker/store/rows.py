"""Facts as the rows that the statements take."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from rollbook_shared.domain.push_tokens import token_hash
from rollbook_shared.domain.stamps import Stamp
from rollbook_shared.json_values import decode_json, encode_json
from rollbook_worker.core import (
    ActivityCreated,
    ChannelEngagementChanged,
    EngagementChanged,
    Facts,
    MessageCreated,
    PreferencesUpdated,
    ProfileKeySet,
    PushTokenChanged,
    PushTokenSent,
    Registers,
    UserDeleted,
    UserIdentified,
    UsersMerged,
    UsersUpdated,
    UserUpdated,
    WorkflowTriggered,
    join,
)

Row = dict[str, Any]
PlainUser = tuple[str, Stamp, bytes]
"""The row of a user with one update: the id, the stamp, the profile as JSON."""
_UserFact = UserUpdated | UserIdentified | ProfileKeySet | PreferencesUpdated | PushTokenChanged


@dataclass(slots=True)
class TableRows:
    """What one transaction writes, by table."""

    users: list[Row] = field(default_factory=list)
    """In id order: users with new data, and those that deletes, merges and engagement with all messages name."""
    plain_users: list[PlainUser] = field(default_factory=list)
    """In id order, and instead of `users`, if each user has one update, and nothing else."""
    preference_sets: list[Row] = field(default_factory=list)
    """Every version received of a preference set, and every change of one."""
    push_tokens: list[Row] = field(default_factory=list)
    """Every change of a push token."""
    push_token_users: list[Row] = field(default_factory=list)
    """When each user sent each push token last."""
    lifecycle_events: list[Row] = field(default_factory=list)
    triggers: list[Row] = field(default_factory=list)
    activities: list[Row] = field(default_factory=list)
    messages: list[Row] = field(default_factory=list)
    engagements: list[Row] = field(default_factory=list)
    channel_engagements: list[Row] = field(default_factory=list)
    ids_with_events: set[str] = field(default_factory=set)
    """Every id that a delete or merge names."""

    @property
    def changes_more_than_users(self) -> bool:
        """Whether anything else is written that decides what readers see of a user."""
        others = (self.preference_sets, self.push_tokens, self.lifecycle_events, self.channel_engagements)
        return any(others) or bool(self.ids_with_events)

    @property
    def user_ids(self) -> list[str]:
        """In id order."""
        return [user["id"] for user in self.users] or [user[0] for user in self.plain_users]

    def rows_of_users(self, ids: Container[str]) -> Iterator[Row]:
        """The rows of some users."""
        yield from (user for user in self.users if user["id"] in ids)
        for id_, stamp, profile in self.plain_users:
            if id_ in ids:
                yield _user_row(id_, decode_json(profile), stamp, {}, [stamp], stamp)


def rows_of(facts: Iterable[Facts]) -> TableRows:
    """Sort facts into rows; where several fill one register, the newest does."""
    rows = TableRows()
    by_user: dict[str, list[_UserFact]] = {}
    history: dict[int, ActivityCreated | MessageCreated] = {}
    others: Registers = {}
    bulk: list[UsersUpdated] = []
    for fact in facts:
        if isinstance(fact, UserUpdated):  # nearly all
            by_user.setdefault(fact.user_id, []).append(fact)
            continue
        if isinstance(fact, UsersUpdated):
            bulk.append(fact)
            continue
        if isinstance(
            fact, (ActivityCreated, MessageCreated)
        ):  # nearly all of a trigger; what `join` does, by their ids
            kept = history.get(fact.id.int)
            if kept is None or kept.stamp < fact.stamp:
                history[fact.id.int] = fact
            continue
        if not isinstance(fact, _UserFact):
            join(others, [fact])
            continue
        by_user.setdefault(fact.user_id, []).append(fact)
        if isinstance(fact, PreferencesUpdated):
            rows.preference_sets.append(fact._asdict())
        elif isinstance(fact, PushTokenChanged):
            rows.push_tokens.append(fact._asdict())
        elif isinstance(fact, ProfileKeySet) and fact.key[0] == "s":
            rows.preference_sets.append(
                {"user_id": fact.user_id, "set_id": fact.key[2:], "stamp": fact.stamp, "settings": fact.value}
            )
    for fact in others.values():
        match fact:
            case UserDeleted() | UsersMerged():
                rows.lifecycle_events.append(_lifecycle_event(fact))
                rows.ids_with_events.update(fact.user_ids)
            case PushTokenSent(stamp, user_id, channel_id, token):
                key = {"user_id": user_id, "channel_id": channel_id, "token_hash": token_hash(token).hex()}
                rows.push_token_users.append({**key, "stamp": stamp})
            case WorkflowTriggered():
                rows.triggers.append(fact._asdict())
            case EngagementChanged():
                rows.engagements.append(fact._asdict() | {"user_id": fact.user_id or ""})
            case ChannelEngagementChanged():
                rows.channel_engagements.append(fact._asdict())
    for each in history.values():
        row = {"id": each.id, "job_id": each.job_id, "stamp": each.stamp, "recipient": each.recipient}
        if isinstance(each, MessageCreated):
            row["channel"] = each.channel
            rows.messages.append(row)
        else:
            rows.activities.append(row)
    locked = {row["user_id"] for row in rows.channel_engagements}
    if not (rows.ids_with_events or locked) and (plain := _plain_users(by_user, bulk)):
        rows.plain_users = plain
        return rows
    for update in chain.from_iterable(each.updates() for each in bulk):
        by_user.setdefault(update.user_id, []).append(update)
    rows.users = [
        _user(user_id, by_user.get(user_id, ())) for user_id in sorted(by_user.keys() | rows.ids_with_events | locked)
    ]
    return rows


def as_json(rows: list[Row] | list[str]) -> str:
    """The rows, or ids, as the one parameter that their statement takes."""
    return encode_json(rows).decode()


def _plain_users(by_user: Mapping[str, Sequence[_UserFact]], bulk: Sequence[UsersUpdated]) -> list[PlainUser] | None:
    """The rows of users who are updated once; None: some are updated more often, or have other facts."""
    if by_user:
        updates = [facts[0] for facts in by_user.values() if len(facts) == 1 and isinstance(facts[0], UserUpdated)]
        if bulk or len(updates) < len(by_user):
            return None
        return sorted((update.user_id, update.stamp, encode_json(update.profile)) for update in updates)
    users = sorted(chain.from_iterable(zip(each.user_ids, each.stamps, each.profiles, strict=True) for each in bulk))
    return users if len({user[0] for user in users}) == len(users) else None


def _lifecycle_event(event: UserDeleted | UsersMerged) -> Row:
    match event:
        case UserDeleted(stamp, user_id):
            return {"stamp": stamp, "user_id": user_id, "keep_opt_outs": False, "merge_tokens": False}
        case UsersMerged():
            row = event._asdict()
            return {"user_id": row.pop("secondary_id"), **row}


def _user(user_id: str, facts: Sequence[_UserFact]) -> Row:
    """The newest value per key within the batch: the rule of `core.join`, for the form in which `users` keeps it.

    Preference sets and changes of push tokens have tables of their own; of them the row has the stamp only.
    """
    if len(facts) == 1 and isinstance(facts[0], UserUpdated):  # true of nearly all users
        stamp = facts[0].stamp
        return _user_row(user_id, facts[0].profile, stamp, {}, [stamp], stamp)
    newest: dict[str, ProfileKeySet] = {}
    identified: set[Stamp] = set()
    last_stamp: Stamp | None = max((fact.stamp for fact in facts), default=None)
    for fact in facts:
        for part in fact.facts() if isinstance(fact, UserUpdated) else (fact,):
            if isinstance(part, UserIdentified):
                identified.add(part.stamp)
            elif isinstance(part, (PreferencesUpdated, PushTokenChanged)) or part.key[0] == "s":
                continue
            elif part.key not in newest or newest[part.key].stamp < part.stamp:
                newest[part.key] = part
    # without keys it is the stamp of none; one newer than all before keeps the upsert from rewriting the profile
    base_stamp = min((fact.stamp for fact in newest.values()), default=last_stamp)
    key_stamps = {key: fact.stamp for key, fact in newest.items() if fact.stamp != base_stamp}
    profile = {key: fact.value for key, fact in newest.items()}
    return _user_row(user_id, profile, base_stamp, key_stamps, sorted(identified), last_stamp)


def _user_row(
    user_id: str,
    profile: dict[str, Any],
    base_stamp: Stamp | None,
    key_stamps: dict[str, Stamp],
    identified: list[Stamp],
    last_stamp: Stamp | None,
) -> Row:
    return {
        "id": user_id,
        "profile": profile,
        "base_stamp": base_stamp,
        "key_stamps": key_stamps,
        "first_identified": identified[0] if identified else None,
        "last_stamp": last_stamp,
        "identify_stamps": "".join(f"{stamp} " for stamp in identified[1:]),
    }
