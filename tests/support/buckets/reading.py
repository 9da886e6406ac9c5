"""What readers see of buckets: an id leads to a root, and the result there says what the id stands for.

Reading needs no facts about users, only the results: so what a worker forgot to recompute is seen to be missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from tests.support.buckets.placement import projected_ids
from tests.support.buckets.workers import Workers
from tests.support.projected_world import read_world

from rollbook_shared.reference.world import World
from rollbook_worker.core import Fact, Projection, PushTokenSent, join, project


def world_of_buckets(workers: Workers) -> World:
    """Everything that readers see of all buckets."""
    facts = list(join({}, (fact for bucket in workers.buckets for fact in bucket.facts.values())).values())
    results = {id_: _result_of(id_, workers) for fact in facts for id_ in projected_ids(fact)}
    together = Projection(
        users={id_: result.users[id_] for id_, result in results.items() if id_ in result.users},
        canonical_ids={
            id_: result.canonical_ids[id_] for id_, result in results.items() if id_ in result.canonical_ids
        },
        ownership_periods=_of_each(results, "ownership_periods"),
        deletes={},
        preference_sets=_of_each(results, "preference_sets"),
        channel_engagements=_of_each(results, "channel_engagements"),
        push_tokens={},
    )
    return read_world(facts, replace(together, push_tokens=_push_tokens(facts, together)))


def _of_each(results: Mapping[str, Projection], name: str) -> dict[str, Any]:
    return {id_: getattr(result, name).get(id_, ()) for id_, result in results.items()}


def _result_of(id_: str, workers: Workers) -> Projection:
    while (smaller := workers.bucket_of(id_).pointers.get(id_)) is not None:
        id_ = smaller
    return workers.bucket_of(id_).results.get(id_, project([], history=0))


def _push_tokens(facts: Iterable[Fact], seen: Projection) -> dict[tuple[str, str], str]:
    """Who sent each token last, as the function in SQL finds it: what was sent before a delete does not count."""
    sent = sorted((fact for fact in facts if isinstance(fact, PushTokenSent)), key=lambda fact: fact.stamp)
    return {
        (fact.channel_id, fact.token): seen.canonical_ids.get(fact.user_id, fact.user_id)
        for fact in sent
        if all(period.existed or period.valid_from < fact.stamp for period in seen.ownership_periods[fact.user_id])
    }
