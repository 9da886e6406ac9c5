"""The facts of jobs in their smallest parts, as `join` takes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rollbook_shared.jobs.models import Job
from rollbook_worker.core import Fact, Facts, UsersUpdated, UserUpdated, facts_of


def single_facts_of(job: Job) -> Iterator[Fact]:
    """The facts of a job, with each `UsersUpdated` and `UserUpdated` taken apart."""
    return single_facts(facts_of(job))


def single_facts(facts: Iterable[Facts]) -> Iterator[Fact]:
    for fact in facts:
        if isinstance(fact, UsersUpdated):
            yield from single_facts(fact.updates())
        elif isinstance(fact, UserUpdated):
            yield from fact.facts()
        else:
            yield fact
