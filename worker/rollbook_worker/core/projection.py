"""What readers see: a pure function of the kept facts, read in stamp order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

from rollbook_shared.domain.merge import merge_profiles
from rollbook_shared.domain.preferences import update_settings
from rollbook_shared.domain.profile_sections import flat_profile, profile_of
from rollbook_shared.domain.push_tokens import add_token, remove_token
from rollbook_shared.domain.stamps import INFINITY, Stamp, occurred_at_of, stamp_floor
from rollbook_worker.core.facts import (
    ChannelEngagementChanged,
    Fact,
    PreferencesUpdated,
    ProfileKeySet,
    PushTokenChanged,
    PushTokenSent,
    UserDeleted,
    UserIdentified,
    UsersMerged,
)

_UserFact = (
    UserIdentified
    | ProfileKeySet
    | PreferencesUpdated
    | PushTokenChanged
    | PushTokenSent
    | ChannelEngagementChanged
    | UserDeleted
    | UsersMerged
)


@dataclass(slots=True)
class ResolvedUser:
    """One user after merges: the profile by stored key, and the stamp of its newest change."""

    updated: Stamp
    profile: dict[str, Any] = field(default_factory=dict)


class OwnershipPeriod(NamedTuple):
    """From `valid_from` to before `valid_to`, what is addressed to an id belongs to `owner` (None: no user).

    `existed` says whether the id stood for a user then, whatever happened to that user later: only those get messages.
    """

    valid_from: Stamp
    valid_to: Stamp
    owner: str | None
    existed: bool


class PreferenceSetVersion(NamedTuple):
    """From `valid_from` on, until the next version of this set, `settings` apply (None: the set was removed)."""

    valid_from: Stamp
    set_id: str
    settings: Any


class ChannelEngagement(NamedTuple):
    """The newest state of an engagement of all messages on a channel: it holds for those that are stamped before it."""

    channel: str
    engagement: str
    stamp: Stamp
    is_set: bool


class _OwnershipChange(NamedTuple):
    """Holds from `valid_from` on, until the next change."""

    valid_from: Stamp
    owner: str | None
    existed: bool


@dataclass(frozen=True, slots=True)
class Projection:
    """What the facts resolve to."""

    users: Mapping[str, ResolvedUser]
    canonical_ids: Mapping[str, str]
    """What each merged-away id stands for."""
    ownership_periods: Mapping[str, tuple[OwnershipPeriod, ...]]
    """Per id, who owns what was addressed to it, and when."""
    deletes: Mapping[Stamp, tuple[str, ...]]
    """The deletes that took effect, each with all ids that stood for the user then. A delete of a merged-away id takes
    no effect.
    """
    preference_sets: Mapping[str, tuple[PreferenceSetVersion, ...]]
    """Per id, the preference sets of the user that it stood for, as they changed."""
    channel_engagements: Mapping[str, tuple[ChannelEngagement, ...]]
    """Per id, what was said of all messages at once that were addressed to it."""
    push_tokens: Mapping[tuple[str, str], str]
    """By channel and push token, the user who sent it last. On Postgres a function finds it, when a sender needs it."""


def project(facts: Iterable[Fact], history: int) -> Projection:
    """Read the facts in stamp order; `history` is how much of it a merge transfers, in microseconds.

    Facts about triggers, activities and messages do not change users, and are skipped: the owner of such a row follows
    from the ownership periods of the id it is addressed to.
    """
    projector = _Projector(history)
    of_users = [fact for fact in facts if isinstance(fact, _UserFact)]
    # of one stamp, the identify comes first: it creates the user whose keys are set
    for fact in sorted(of_users, key=lambda fact: (fact.stamp, not isinstance(fact, UserIdentified))):
        match fact:
            case UserIdentified():
                projector.identify(fact.user_id, fact.stamp)
            case ProfileKeySet():
                projector.set_key(fact)
            case PreferencesUpdated():
                projector.update_preferences(fact)
            case PushTokenChanged():
                projector.change_token(fact)
            case PushTokenSent():
                projector.send_token(fact)
            case ChannelEngagementChanged():
                projector.mark_all(fact)
            case UserDeleted():
                projector.delete(fact)
            case UsersMerged():
                projector.merge(fact)
    return projector.projection()


class _Projector:
    """The users, while their facts are read."""

    def __init__(self, history: int) -> None:
        self._history = history
        self._users: dict[str, ResolvedUser] = {}
        self._canonical_ids: dict[str, str] = {}
        self._ids: dict[str, list[str]] = {}
        """User to the ids that stand for it, if these are more than its own."""
        self._ownership: dict[str, list[_OwnershipChange]] = {}
        """Id to the changes of who owns what is addressed to it."""
        self._deletes: dict[Stamp, tuple[str, ...]] = {}
        self._preference_sets: dict[str, list[PreferenceSetVersion]] = {}
        self._channel_engagements: dict[str, dict[tuple[str, str], ChannelEngagement]] = {}
        self._push_tokens: dict[tuple[str, str], dict[str, None]] = {}
        """Channel and token to the users who sent it, the last one last."""

    def identify(self, user_id: str, at: Stamp) -> None:
        canonical_id = self._canonical_ids.get(user_id, user_id)
        if user := self._users.get(canonical_id):
            user.updated = at
            return
        self._users[canonical_id] = ResolvedUser(at)
        for id_ in self._ids.get(canonical_id, [canonical_id]):
            self._ownership.setdefault(id_, []).append(_OwnershipChange(at, canonical_id, True))

    def set_key(self, fact: ProfileKeySet) -> None:
        canonical_id = self._canonical_ids.get(fact.user_id, fact.user_id)
        user = self._users.get(canonical_id)
        if user is None:
            return  # only a removed key comes without an identify, and here no user has the key
        user.updated = fact.stamp
        if fact.value is None and fact.key[0] in "sc":
            user.profile.pop(fact.key, None)
        else:
            user.profile[fact.key] = fact.value
        if fact.key[0] == "s":
            self._add_versions(self._ids.get(canonical_id, [canonical_id]), fact.stamp, {fact.key[2:]: fact.value})

    def update_preferences(self, fact: PreferencesUpdated) -> None:
        key = f"s.{fact.set_id}"
        user = self._users.get(self._canonical_ids.get(fact.user_id, fact.user_id))
        settings = update_settings(user.profile.get(key) if user else None, fact.changes)
        if settings is not None:
            self.set_key(ProfileKeySet(fact.stamp, fact.user_id, key, settings))

    def change_token(self, fact: PushTokenChanged) -> None:
        key = f"c.{fact.channel_id}"
        user = self._users.get(self._canonical_ids.get(fact.user_id, fact.user_id))
        if user is None:
            return  # only a removal comes without an identify
        data = user.profile.get(key)
        if fact.is_added:
            data = add_token(data, fact.token, fact.device)
        elif data is not None:
            data = remove_token(data, fact.token)
        self.set_key(ProfileKeySet(fact.stamp, fact.user_id, key, data))

    def send_token(self, fact: PushTokenSent) -> None:
        canonical_id = self._canonical_ids.get(fact.user_id, fact.user_id)
        users = self._push_tokens.setdefault((fact.channel_id, fact.token), {})
        users.pop(canonical_id, None)
        users[canonical_id] = None

    def mark_all(self, fact: ChannelEngagementChanged) -> None:
        canonical_id = self._canonical_ids.get(fact.user_id, fact.user_id)
        state = ChannelEngagement(fact.channel, fact.engagement, fact.stamp, fact.is_set)
        for id_ in self._ids.get(canonical_id, [canonical_id]):
            self._channel_engagements.setdefault(id_, {})[fact.channel, fact.engagement] = state

    def delete(self, fact: UserDeleted) -> None:
        if fact.user_id in self._canonical_ids:
            return  # writes follow a merged-away id, deletes and merges do not
        deleted = self._users.pop(fact.user_id, None)
        ids = self._ids.pop(fact.user_id, [fact.user_id])
        self._add_versions(ids, fact.stamp, dict.fromkeys(_preference_sets(deleted)))
        self._deletes[fact.stamp] = tuple(ids)
        for users in self._push_tokens.values():
            users.pop(fact.user_id, None)
        for id_ in ids:
            self._canonical_ids.pop(id_, None)
            self._channel_engagements.pop(id_, None)
            changes = self._ownership.setdefault(id_, [])
            changes[:] = [change._replace(owner=None) if change.owner == fact.user_id else change for change in changes]
            changes.append(_OwnershipChange(fact.stamp, None, False))

    def merge(self, fact: UsersMerged) -> None:
        primary_id = self._canonical_ids.get(fact.primary_id, fact.primary_id)
        if fact.secondary_id in self._canonical_ids or primary_id == fact.secondary_id:
            return
        secondary = self._users.pop(fact.secondary_id, None)
        ids = self._ids.pop(fact.secondary_id, [fact.secondary_id])
        kept_from = stamp_floor(occurred_at_of(fact.stamp) - self._history)
        for id_ in ids:
            changes = self._ownership.get(id_, [])
            self._ownership[id_] = _transferred(changes, fact.secondary_id, primary_id, kept_from, fact.stamp)
            self._canonical_ids[id_] = primary_id
        if secondary:
            self.identify(primary_id, fact.stamp)
            primary = self._users[primary_id]
            before = _preference_sets(primary)
            primary.profile = flat_profile(
                merge_profiles(
                    profile_of(primary.profile),
                    profile_of(secondary.profile),
                    keep_opt_outs=fact.keep_opt_outs,
                    merge_tokens=fact.merge_tokens,
                )
            )
            after = _preference_sets(primary)
            changed = {set_id: settings for set_id, settings in after.items() if before.get(set_id) != settings}
            self._add_versions(self._ids.get(primary_id, [primary_id]), fact.stamp, changed)
        for token, users in self._push_tokens.items():
            # of the two stamps the later one counts, so the place of the last of both
            named = [primary_id if id_ == fact.secondary_id else id_ for id_ in users]
            self._push_tokens[token] = dict.fromkeys(reversed(list(dict.fromkeys(reversed(named)))))
        replaced = dict.fromkeys(_preference_sets(secondary)) | _preference_sets(self._users.get(primary_id))
        self._add_versions(ids, fact.stamp, replaced)
        self._ids.setdefault(primary_id, [primary_id]).extend(ids)
        for id_ in ids:
            exists = primary_id in self._users
            self._ownership[id_].append(_OwnershipChange(fact.stamp, primary_id if exists else None, exists))

    def projection(self) -> Projection:
        end = _OwnershipChange(INFINITY, None, False)
        periods = {
            id_: tuple(
                OwnershipPeriod(change.valid_from, following.valid_from, change.owner, change.existed)
                for change, following in pairwise([*changes, end])
                if change.valid_from < following.valid_from
            )
            for id_, changes in self._ownership.items()
        }
        versions = {id_: tuple(versions) for id_, versions in self._preference_sets.items()}
        engagements = {id_: tuple(states.values()) for id_, states in self._channel_engagements.items()}
        tokens = {token: [*users][-1] for token, users in self._push_tokens.items() if users}
        return Projection(self._users, self._canonical_ids, periods, self._deletes, versions, engagements, tokens)

    def _add_versions(self, ids: Iterable[str], at: Stamp, sets: Mapping[str, Any]) -> None:
        for id_ in ids if sets else ():
            versions = self._preference_sets.setdefault(id_, [])
            versions.extend(PreferenceSetVersion(at, set_id, settings) for set_id, settings in sets.items())


def _preference_sets(user: ResolvedUser | None) -> dict[str, Any]:
    return {key[2:]: value for key, value in user.profile.items() if key[0] == "s"} if user else {}


def _transferred(
    changes: list[_OwnershipChange], secondary_id: str, primary_id: str, kept_from: Stamp, merged_at: Stamp
) -> list[_OwnershipChange]:
    """Ownership after the merge: the primary owns the secondary's history from `kept_from` on."""
    transferred: list[_OwnershipChange] = []
    for change, following in pairwise([*changes, _OwnershipChange(merged_at, None, False)]):
        if change.owner != secondary_id:
            transferred.append(change)
            continue
        if change.valid_from < kept_from:
            transferred.append(change._replace(owner=None))
        if following.valid_from > kept_from:
            transferred.append(change._replace(valid_from=max(change.valid_from, kept_from), owner=primary_id))
    return transferred
