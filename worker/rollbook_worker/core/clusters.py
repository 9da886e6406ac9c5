"""Identity clusters: the ids that a chain of merges has joined, in whatever direction, effective or not."""

from __future__ import annotations

from collections.abc import Iterable

from rollbook_worker.core.facts import LifecycleEvent, UsersMerged


def cluster_roots(ids: Iterable[str], events: Iterable[LifecycleEvent]) -> dict[str, str]:
    """Each id's cluster root, the smallest id of the cluster.

    A merge that takes no effect (a cycle, a second merge of one secondary) joins its ids all the same: a late job may
    give it effect.
    """
    parent = {id_: id_ for id_ in ids}

    def root_of(id_: str) -> str:
        while parent[id_] != id_:
            parent[id_] = id_ = parent[parent[id_]]
        return id_

    for event in events:
        if isinstance(event, UsersMerged):
            one, other = root_of(event.secondary_id), root_of(event.primary_id)
            parent[max(one, other)] = min(one, other)
    return {id_: root_of(id_) for id_ in parent}
