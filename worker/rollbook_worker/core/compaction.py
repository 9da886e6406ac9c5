"""What may be dropped for good: everything received about a user whose delete is older than the erasure delay.

Such a delete lies before the horizon, and no job stamped before the horizon is expected to arrive any more. The delete
ended a user with some ids. Whatever was received under those ids before it went to that user, to a user who was merged
into it, or to one deleted earlier still; in every case to a user who no longer exists. So those facts, and the
lifecycle events that name those ids, no longer decide what readers see (a law: `project` of what is kept gives the same
users and redirects). A delete that took no effect, because its id was merged away, takes none later either once it lies
before the horizon, and is dropped as well.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from rollbook_shared.domain.stamps import Stamp
from rollbook_worker.core.facts import (
    ChannelEngagementChanged,
    EngagementChanged,
    Fact,
    PreferencesUpdated,
    ProfileKeySet,
    PushTokenChanged,
    UserDeleted,
    UserIdentified,
    UsersMerged,
)
from rollbook_worker.core.projection import project


@dataclass(frozen=True, slots=True)
class Compaction:
    """`kept`: the facts that still matter. `void_until`: for each id of a user who no longer exists, the delete before
    which everything is void.
    """

    kept: list[Fact]
    void_until: Mapping[str, Stamp]


def compact(facts: Collection[Fact], history: int, horizon: Stamp) -> Compaction:
    """Leave out what deletes before the horizon made void. `history` as in `project`."""
    effective = project(facts, history).deletes
    void_until: dict[str, Stamp] = {}
    for stamp, ids in sorted(effective.items()):
        if stamp < horizon:
            void_until.update(dict.fromkeys(ids, stamp))

    def matters(fact: Fact) -> bool:
        match fact:
            case UserIdentified(stamp, user_id) | ProfileKeySet(stamp, user_id) | PreferencesUpdated(stamp, user_id):
                return stamp > void_until.get(user_id, "")
            case ChannelEngagementChanged(stamp, user_id) | PushTokenChanged(stamp, user_id):
                return stamp > void_until.get(user_id, "")
            case EngagementChanged(stamp, user_id=str(user_id)):
                return stamp > void_until.get(user_id, "")
            case UserDeleted(stamp) if stamp < horizon and stamp not in effective:
                return False
            case UserDeleted(stamp) | UsersMerged(stamp):
                return all(stamp > void_until.get(user_id, "") for user_id in fact.user_ids)
            case _:
                return True

    return Compaction([fact for fact in facts if matters(fact)], void_until)
