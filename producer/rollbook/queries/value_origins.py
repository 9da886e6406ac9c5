"""Where each value of a user comes from: reads what was received in stamp order, and keeps the origin of each value.

Workers keep no origins: of a user whom no merge names, the stamps that they keep per key are the origins, and of an
identity cluster they keep what was received under each id. So origins are computed when they are asked for. The values
come from the functions that the workers call, and so are those that readers see; beside them goes a tree of origins,
which has branches only where the parts of a value come from several jobs.

Whether a user existed makes no difference here: one who did not has no values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Union

from rollbook_shared.domain.merge import merge_profiles
from rollbook_shared.domain.merge_effects import CYCLE, MERGED_ALREADY, MERGED_ELSEWHERE
from rollbook_shared.domain.preferences import update_settings
from rollbook_shared.domain.profile_sections import flat_profile, profile_of
from rollbook_shared.domain.push_tokens import add_token, remove_token

if TYPE_CHECKING:
    from rollbook_shared.domain.stamps import Stamp

MERGED_ID: Final = "the id stood for another user, and a delete of a merged id does nothing"


class KeySet(NamedTuple):
    """A key of a user (in its stored form, `p.plan`) was given a value. Of a preference set or channel data, None
    removes the key.
    """

    stamp: Stamp
    user_id: str
    key: str
    value: Any


class SettingsChanged(NamedTuple):
    """Single keys of a preference set were changed."""

    stamp: Stamp
    user_id: str
    set_id: str
    changes: Mapping[str, Any]


class TokenChanged(NamedTuple):
    """A push token was added, perhaps with its device, or removed."""

    stamp: Stamp
    user_id: str
    channel_id: str
    token: str
    device: Mapping[str, Any] | None
    is_added: bool


class Lifecycle(NamedTuple):
    """A user was deleted, or (`primary_id`) merged into another."""

    stamp: Stamp
    user_id: str
    primary_id: str | None
    keep_opt_outs: bool = False
    merge_tokens: bool = False


Received = KeySet | SettingsChanged | TokenChanged | Lifecycle
"""What was received under an id."""


class Origin(NamedTuple):
    """The job that set a value, by its stamp, and the id under which it arrived."""

    stamp: Stamp
    user_id: str


OriginTree = Union[Origin, dict[str, "OriginTree"]]  # noqa: UP007 -- an alias that names itself
"""The origin of a whole value, or of each part of it by key."""


class Valued(NamedTuple):
    """A value with its origins."""

    value: Any
    tree: OriginTree

    def part(self, key: str) -> Valued | None:
        """The part of an object that stands under the key, if there is one."""
        if not isinstance(self.value, Mapping) or key not in self.value:
            return None
        return Valued(self.value[key], self.tree if isinstance(self.tree, Origin) else self.tree[key])

    def parts(self) -> Iterator[tuple[str, Valued]]:
        """Each key of an object with its part."""
        for key, value in self.value.items():
            yield key, Valued(value, self.tree if isinstance(self.tree, Origin) else self.tree[key])

    def origins(self, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any, Origin]]:
        """The value with its path and origin, or its parts, where they come from several jobs or under several ids."""
        if (origin := self._only_origin()) is not None:
            yield path, self.value, origin
            return
        for key, part in self.parts():
            yield from part.origins((*path, key))

    def _only_origin(self) -> Origin | None:
        if isinstance(self.tree, Origin):
            return self.tree
        origins = {part._only_origin() for _, part in self.parts()}
        return next(iter(origins)) if len(origins) == 1 else None


Values = dict[str, Valued]
"""What is known of one user, by stored key."""


@dataclass(slots=True)
class OriginsReader:
    """The users, while what was received is read in stamp order."""

    users: dict[str, Values] = field(default_factory=dict)
    canonical_ids: dict[str, str] = field(default_factory=dict)
    """What each merged-away id stands for."""
    members: dict[str, list[str]] = field(default_factory=dict)
    """User to the ids that stand for it, if these are more than its own."""

    def canonical_id(self, user_id: str) -> str:
        """The user that the id stands for."""
        return self.canonical_ids.get(user_id, user_id)

    def values(self, user_id: str) -> Values:
        """What is known of the user that the id stands for."""
        return self.users.get(self.canonical_id(user_id), {})

    def read(self, received: Received) -> str | None:
        """Apply what was received. Of a delete or merge that took no effect, return why."""
        match received:
            case KeySet():
                self._set_key(received)
            case SettingsChanged():
                self._change_settings(received)
            case TokenChanged():
                self._change_token(received)
            case Lifecycle(primary_id=None):
                return self._delete(received.user_id)
            case Lifecycle():
                return self._merge(received)
        return None

    def _set_key(self, received: KeySet) -> None:
        values = self._values_to_change(received.user_id)
        if received.value is None and received.key[0] in "sc":
            values.pop(received.key, None)
        else:
            values[received.key] = Valued(received.value, Origin(received.stamp, received.user_id))

    def _change_settings(self, received: SettingsChanged) -> None:
        values, key = self._values_to_change(received.user_id), f"s.{received.set_id}"
        known = values.get(key)
        settings = update_settings(known.value if known else None, received.changes)
        if settings is None:
            return
        origin = Origin(received.stamp, received.user_id)
        tree: dict[str, OriginTree] = {}
        for section, choices in settings.items():
            changed = received.changes.get(section, {})
            before = known.part(section) if known else None
            tree[section] = {name: origin if name in changed else _tree(before, name) for name in choices}
        values[key] = Valued(settings, tree)

    def _change_token(self, received: TokenChanged) -> None:
        values, key = self._values_to_change(received.user_id), f"c.{received.channel_id}"
        known = values.get(key)
        if received.is_added:
            data: dict[str, Any] | None = add_token(known.value if known else None, received.token, received.device)
        else:
            data = remove_token(known.value, received.token) if known else None
        if data is None:
            values.pop(key, None)
            return
        origin = Origin(received.stamp, received.user_id)
        before = Valued(channel_parts(known.value), known.tree) if known else None
        tree: dict[str, OriginTree] = {}
        for name, part in channel_parts(data).items():
            if name != "tokens":
                tree[name] = _tree(before, name)
                continue
            tokens = before.part("tokens") if before else None
            tree[name] = {
                token: origin if received.is_added and token == received.token else _tree(tokens, token)
                for token in part
            }
        values[key] = Valued(data, tree)

    def _delete(self, user_id: str) -> str | None:
        if user_id in self.canonical_ids:
            return MERGED_ID
        self.users.pop(user_id, None)
        for id_ in self.members.pop(user_id, ()):
            self.canonical_ids.pop(id_, None)
        return None

    def _merge(self, received: Lifecycle) -> str | None:
        secondary_id, primary_id = received.user_id, self.canonical_id(received.primary_id or "")
        if primary_id == secondary_id:
            return CYCLE
        if secondary_id in self.canonical_ids:
            return MERGED_ALREADY if self.canonical_ids[secondary_id] == primary_id else MERGED_ELSEWHERE
        ids = self.members.pop(secondary_id, [secondary_id])
        self.members.setdefault(primary_id, [primary_id]).extend(ids)
        self.canonical_ids.update(dict.fromkeys(ids, primary_id))
        if secondary := self.users.pop(secondary_id, None):
            _add(self.users.setdefault(primary_id, {}), secondary, received)
        return None

    def _values_to_change(self, user_id: str) -> Values:
        return self.users.setdefault(self.canonical_id(user_id), {})


def channel_parts(data: Any) -> Any:
    """The data of a channel as an object of parts, each of which may have an origin of its own: the push tokens by
    themselves, without their devices, and every other key.
    """
    if not isinstance(data, Mapping):
        return data
    parts = {key: value for key, value in data.items() if key != "devices"}
    if isinstance(parts.get("tokens"), list):
        parts["tokens"] = {token: token for token in parts["tokens"] if isinstance(token, str)}
    return parts


def _tree(known: Valued | None, key: str) -> OriginTree:
    part = known.part(key) if known else None
    if part is None:
        raise AssertionError("what a change leaves as it was, was there before")
    return part.tree


def _add(primary: Values, secondary: Values, merge: Lifecycle) -> None:
    """Add what the secondary has to the primary, in place."""
    shared = primary.keys() & secondary.keys()
    merged = flat_profile(
        merge_profiles(
            profile_of({key: primary[key].value for key in shared}),
            profile_of({key: secondary[key].value for key in shared}),
            keep_opt_outs=merge.keep_opt_outs,
            merge_tokens=merge.merge_tokens,
        )
    )
    for key, added in secondary.items():
        if key not in shared:
            primary[key] = added
            continue
        own, value = primary[key], merged.get(key)  # an attribute that both were sent as null is none of a profile
        parts = channel_parts if key[0] == "c" else _whole
        tree = _merged_tree(parts(value), Valued(parts(own.value), own.tree), Valued(parts(added.value), added.tree))
        primary[key] = Valued(value, tree)


def _whole(value: Any) -> Any:
    return value


def _merged_tree(result: Any, own: Valued, added: Valued) -> OriginTree:
    """The origins of what a merge made of two values: of each part that the primary had, they are the primary's."""
    if not (result and all(isinstance(each, Mapping) for each in (result, own.value, added.value))):
        return own.tree if own.value == result else added.tree
    # only what the secondary has is looked at: a primary with many keys may take over a thousand users
    tree: dict[str, OriginTree] = own.tree if isinstance(own.tree, dict) else dict.fromkeys(own.value, own.tree)
    for key, part in added.parts():
        if key in result:
            before = own.part(key)
            tree[key] = part.tree if before is None else _merged_tree(result[key], before, part)
    return tree
