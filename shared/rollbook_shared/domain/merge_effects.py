"""Which merges took no effect, and why: decided by the merges and deletes before them, in stamp order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from rollbook_shared.domain.stamps import Stamp

CYCLE: Final = "the primary stood for the secondary already: an earlier merge went the other way"
MERGED_ALREADY: Final = "the secondary stood for the primary already: an earlier merge was the same"
MERGED_ELSEWHERE: Final = "the secondary stood for another user already, and a merge of a merged id does nothing"


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """A delete of a user, or (`primary_id`) a merge of it into another."""

    stamp: Stamp
    user_id: str
    primary_id: str | None


def merges_without_effect(events: Iterable[Event]) -> Mapping[Stamp, str]:
    """The merges that took no effect, each with the reason. The events are all those of some identity clusters, or all
    up to a stamp.
    """
    canonical_ids: dict[str, str] = {}
    members: dict[str, list[str]] = {}
    reasons: dict[Stamp, str] = {}
    for event in sorted(events, key=lambda event: event.stamp):
        id_ = event.user_id
        if event.primary_id is None:
            if id_ not in canonical_ids:  # deletes of a merged id do nothing
                for member in members.pop(id_, ()):
                    del canonical_ids[member]
            continue
        primary_id = canonical_ids.get(event.primary_id, event.primary_id)
        if primary_id == id_:
            reasons[event.stamp] = CYCLE
        elif id_ in canonical_ids:
            reasons[event.stamp] = MERGED_ALREADY if canonical_ids[id_] == primary_id else MERGED_ELSEWHERE
        else:
            moved = [id_, *members.pop(id_, ())]
            members.setdefault(primary_id, []).extend(moved)
            canonical_ids.update(dict.fromkeys(moved, primary_id))
    return reasons
