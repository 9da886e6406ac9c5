"""What a set of jobs means, whatever order they came in. No I/O, no clock, no logging.

A job is a few *facts* (`facts_of`). A fact fills a *slot*, and in each slot the newest is kept: `join` is that rule,
and is all that a worker does. It takes the maximum slot by slot, so it is commutative, associative and idempotent:
the kept facts depend on the *set* of jobs alone, whatever the order, the duplicates, the batches, the crashes and the
retries. `default` reads the kept facts in stamp order and says what people see.

Why an overwritten fact may be forgotten: let f and g fill one slot (a key told under an id), f the older. Between
their stamps, what f said lives only in the person that the id stands for: a write elsewhere does not move it, a
delete destroys it, a merge moves the whole person *and points the id at the primary_id*. So g lands exactly where
f's value
is, and replaces it. This needs the redirect: were a merged-away id free again at once, g would land in another
person, and f would have to be remembered. Who was *known* at a trigger's stamp is no matter of the newest telling, so
every sighting has a slot of its own, like every ending; and so has every preference set that was told, for it decides
on the messages of the triggers after it.
"""

from rollbook_worker.core.clusters import families
from rollbook_worker.core.compaction import Settlement, settle
from rollbook_worker.core.decomposition import facts_of, pieces_of, rows_stamp
from rollbook_worker.core.facts import Activity, Ended, Fact, Identified, Marked, Message, Seen, Told, Triggered
from rollbook_worker.core.join import Kept, join
from rollbook_worker.core.projection import FOREVER, OwnershipPeriod, Person, PreferenceSetVersion, Projection, project

__all__ = [
    "FOREVER",
    "Activity",
    "Ended",
    "Fact",
    "Identified",
    "Kept",
    "Marked",
    "Message",
    "OwnershipPeriod",
    "Person",
    "PreferenceSetVersion",
    "Projection",
    "Seen",
    "Settlement",
    "Told",
    "Triggered",
    "facts_of",
    "families",
    "join",
    "pieces_of",
    "project",
    "rows_stamp",
    "settle",
]
