"""Explanations in the form of the reference: each leaf of a user's values with the job that set it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from rollbook import ExplainedToken, ExplainedValue, UserExplanation
from rollbook.queries.user_explanation import explained_values, read_in_order
from rollbook.queries.value_origins import KeySet, Lifecycle, Received, SettingsChanged, TokenChanged
from rollbook_shared.domain.stamps import Stamp, job_id_of, microseconds, occurred_at_of
from rollbook_shared.jobs.models import Job
from rollbook_shared.reference.origins import Origins, Path, leaves, origins
from rollbook_worker.core import (
    Fact,
    PreferencesUpdated,
    ProfileKeySet,
    PushTokenChanged,
    UserDeleted,
    UsersMerged,
)


class Cause(NamedTuple):
    """A value, when it was set, by which job, and the id under which it arrived."""

    value: Any
    occurred_at: int
    job_id: str
    user_id: str


Causes = dict[Path, Cause]


def expected(sent: Iterable[Job], **options: Any) -> dict[str, Causes]:
    """What the reference says, of users who have a value."""
    return {user: causes for user, known in origins(sent, **options).items() if (causes := _of_reference(known))}


def causes_of(explanation: UserExplanation) -> Causes:
    """What an explanation says."""
    values = (*explanation.traits, *explanation.preferences, *explanation.channel_data)
    return dict(_causes(values, explanation.tokens))


def causes_of_facts(facts: Iterable[Fact]) -> dict[str, Causes]:
    """What follows from the facts that a store keeps, per user who has a value."""
    reader, _ = read_in_order(_received(facts))
    explained = {user: explained_values(values) for user, values in reader.users.items()}
    causes = {
        user: dict(_causes((*each["traits"], *each["preferences"], *each["channel_data"]), each["tokens"]))
        for user, each in explained.items()
    }
    return {user: known for user, known in causes.items() if known}


def _of_reference(known: Origins) -> Causes:
    return {
        path: Cause(origin.value, occurred_at_of(Stamp(origin.stamp)), job_id_of(Stamp(origin.stamp)), origin.user_id)
        for path, origin in known.items()
    }


def _causes(values: Iterable[ExplainedValue], tokens: Iterable[ExplainedToken]) -> Iterator[tuple[Path, Cause]]:
    for one in values:
        if one.section == "attributes" and one.value is None:
            continue  # the reference has no such attributes
        for path, value in leaves(one.value, (one.section, *one.path)):
            yield path, Cause(value, microseconds(one.occurred_at), one.job_id, one.user_id)
    for token in tokens:
        path = ("channel_data", token.channel_id, "tokens", token.token)
        yield path, Cause(token.token, microseconds(token.occurred_at), token.job_id, token.user_id)


def _received(facts: Iterable[Fact]) -> Iterator[Received]:
    for fact in facts:
        match fact:
            case ProfileKeySet():
                yield KeySet(*fact)
            case PreferencesUpdated():
                yield SettingsChanged(*fact)
            case PushTokenChanged():
                yield TokenChanged(*fact)
            case UserDeleted():
                yield Lifecycle(fact.stamp, fact.user_id, None)
            case UsersMerged():
                yield Lifecycle(*fact)
