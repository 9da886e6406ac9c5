"""Which ids belong together: those joined by a chain of merges, in whatever direction, effective or not."""

from __future__ import annotations

from collections.abc import Iterable

from rollbook_worker.core.facts import Ended


def families(ids: Iterable[str], endings: Iterable[Ended]) -> dict[str, str]:
    """Each id's family, named for its smallest id.

    A merge that takes no effect (a cycle, a second merge of one secondary) joins its ids all the same: a late job may
    give it effect.
    """
    parent = {id_: id_ for id_ in ids}

    def top(id_: str) -> str:
        while parent[id_] != id_:
            parent[id_] = id_ = parent[parent[id_]]
        return id_

    for ending in endings:
        if ending.primary_id is not None:
            one, other = top(ending.user), top(ending.primary_id)
            parent[max(one, other)] = min(one, other)
    return {id_: top(id_) for id_ in parent}
