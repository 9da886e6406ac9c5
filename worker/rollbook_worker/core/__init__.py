"""What a set of jobs means, whatever order they arrive in. No I/O, no clock, no logging.

A job consists of a few *facts* (`facts_of`). A fact fills a *register*, and in each register the newest fact is kept:
that rule is `join`, and it is all that a worker does. `join` takes the maximum register by register, so it is
commutative, associative and idempotent: the kept facts depend on the *set* of jobs alone, whatever the order, the
duplicates, the batches, the crashes and the retries. `project` reads the kept facts in stamp order and returns what
readers see.

Why an overwritten fact may be dropped: let f and g fill one register (a key set under an id), f the older. Between
their stamps, the value of f lives only in the user that the id stands for: a write to another key does not move it, a
delete destroys it, and a merge moves the whole user *and redirects the id to the primary*. So g lands exactly where the
value of f is, and replaces it. This needs the redirect: if a merged-away id were free again at once, g would land in
another user, and f would have to be kept. Whether a user *existed* at a trigger's stamp does not follow from the newest
update, so every identify has a register of its own, as every delete and merge has. So has every version of a preference
set, because it decides on the messages of the triggers after it; and every change of single keys of a set, for the same
reason and for another: f may be what gave the user the set, and a merge between f and g asks whether there is one. For
that second reason every change of a push token is kept too, until no merge between f and g is expected any more. When a
token was sent last is a register for each id: f and g were sent by one user, or the delete between them ended f's.

Engagement with a message has a register for each id under which it was recorded. It moves with the user that this id
stood for, as a message moves with its owner, and counts while the two are one. So what another user recorded can
neither count nor overwrite. Engagement with all messages on a channel holds for every id that stood for the same user
then. Of two facts f and g of such a register, f the older, f may be dropped: where f counts, g counts too and is newer,
because the id of both stands for one user from f to g. Only a delete ends that, and then no user owns the messages of
f any more.
"""

from rollbook_worker.core.clusters import cluster_roots
from rollbook_worker.core.compaction import Compaction, compact, decisive_identifies, overwritten_token_changes
from rollbook_worker.core.decomposition import facts_of, trigger_stamp
from rollbook_worker.core.facts import (
    ActivityCreated,
    ChannelEngagementChanged,
    EngagementChanged,
    Fact,
    Facts,
    LifecycleEvent,
    MessageCreated,
    PreferencesUpdated,
    ProfileKeySet,
    PushTokenChanged,
    PushTokenSent,
    UserDeleted,
    UserIdentified,
    UsersMerged,
    UsersUpdated,
    UserUpdated,
    WorkflowTriggered,
)
from rollbook_worker.core.join import Registers, join
from rollbook_worker.core.projection import (
    ChannelEngagement,
    OwnershipPeriod,
    PreferenceSetVersion,
    Projection,
    ResolvedUser,
    project,
)

__all__ = [
    "ActivityCreated",
    "ChannelEngagement",
    "ChannelEngagementChanged",
    "Compaction",
    "EngagementChanged",
    "Fact",
    "Facts",
    "LifecycleEvent",
    "MessageCreated",
    "OwnershipPeriod",
    "PreferenceSetVersion",
    "PreferencesUpdated",
    "ProfileKeySet",
    "Projection",
    "PushTokenChanged",
    "PushTokenSent",
    "Registers",
    "ResolvedUser",
    "UserDeleted",
    "UserIdentified",
    "UserUpdated",
    "UsersMerged",
    "UsersUpdated",
    "WorkflowTriggered",
    "cluster_roots",
    "compact",
    "decisive_identifies",
    "facts_of",
    "join",
    "overwritten_token_changes",
    "project",
    "trigger_stamp",
]
