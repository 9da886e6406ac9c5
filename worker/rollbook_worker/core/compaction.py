"""What may be dropped for good, because no job stamped before a horizon is expected to arrive any more.

*Of deleted users* (`compact`): everything that was received before a delete that is older than the erasure delay. Such
a delete lies before the horizon, and no job stamped before the horizon is expected to arrive any more. The delete
ended a user with some ids. Whatever was received under those ids before it went to that user, to a user who was merged
into it, or to one deleted earlier still; in every case to a user who no longer exists. So those facts, and the
lifecycle events that name those ids, no longer decide what readers see (a law: `project` of what is kept gives the same
users and redirects). A delete that took no effect, because its id was merged away, takes none later either once it lies
before the horizon, and is dropped as well.

*Identifies* (`decisive_identifies`). An identify creates a user, or is the newest change of one; nothing else follows
from it. Whether it created one follows from the facts before it, which are all known once it lies before the horizon.
So of the identifies before the horizon only those are kept that created a user, and the newest of each id. Of an id
that no merge or delete names, that is its first and its last. In a cluster it is one for each time that a user of it
began to exist: the first one behind each delete, or behind each merge that took a user away.

*Changes of push tokens* (`overwritten_token_changes`). Of two changes of one token under one id, the later says alone
what becomes of the token. Only a merge or delete between them makes a difference: it asks for the data of the channel
as it was then.
"""

from __future__ import annotations

from bisect import bisect
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
    PushTokenSent,
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
            case (
                ChannelEngagementChanged(stamp, user_id)
                | PushTokenChanged(stamp, user_id)
                | PushTokenSent(stamp, user_id)
            ):
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


def decisive_identifies(facts: Collection[Fact], history: int, horizon: Stamp) -> set[UserIdentified]:
    """The identifies that still decide what readers see, whatever arrives that is stamped at the horizon or later."""
    periods = project(facts, history).ownership_periods
    begins = {(id_, period.valid_from) for id_, own in periods.items() for period in own if period.existed}
    identifies = [fact for fact in facts if isinstance(fact, UserIdentified)]
    newest: dict[str, Stamp] = {}
    for fact in identifies:
        newest[fact.user_id] = max(fact.stamp, newest.get(fact.user_id, fact.stamp))
    return {
        fact
        for fact in identifies
        if fact.stamp >= horizon or fact.stamp == newest[fact.user_id] or (fact.user_id, fact.stamp) in begins
    }


def overwritten_token_changes(facts: Collection[Fact], horizon: Stamp) -> list[PushTokenChanged]:
    """The changes of push tokens that decide nothing, whatever arrives that is stamped at the horizon or later."""
    events = sorted(fact.stamp for fact in facts if isinstance(fact, (UserDeleted, UsersMerged)))
    changes = (fact for fact in facts if isinstance(fact, PushTokenChanged) and fact.stamp < horizon)
    newest: dict[tuple[str, str, str, int], PushTokenChanged] = {}
    overwritten: list[PushTokenChanged] = []
    for change in sorted(changes, key=lambda change: change.stamp):
        key = (change.user_id, change.channel_id, change.token, bisect(events, change.stamp))
        if key in newest:
            overwritten.append(newest[key])
        newest[key] = change
    return overwritten
