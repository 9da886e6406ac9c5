"""What the status of a merge says of its effect is what the workers compute."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.support.example_counts import examples

from rollbook_shared.domain.merge_effects import Event, merges_without_effect
from rollbook_shared.domain.stamps import stamp
from rollbook_worker.core import LifecycleEvent, UserDeleted, UsersMerged
from rollbook_worker.core.projection import project

_ids = st.sampled_from("abcd")
_pairs = st.tuples(_ids, _ids).filter(lambda pair: pair[0] != pair[1])


@examples(300)
@given(st.lists(_pairs | _ids.map(lambda id_: (id_, None)), max_size=8))
def test_rule_28_a_merge_without_effect_changes_nothing_and_any_other_changes_what_its_id_stands_for(
    pairs: list[tuple[str, str | None]],
) -> None:
    events = [
        Event(stamp=stamp(at, "job"), user_id=user_id, primary_id=primary_id)
        for at, (user_id, primary_id) in enumerate(pairs)
    ]

    void = merges_without_effect(reversed(events))

    for count, event in enumerate(events):
        if event.primary_id is not None:
            before, after = project(map(_fact, events[:count]), 0), project(map(_fact, events[: count + 1]), 0)
            assert (event.stamp in void) == (before == after)


def _fact(event: Event) -> LifecycleEvent:
    if event.primary_id is None:
        return UserDeleted(event.stamp, event.user_id)
    return UsersMerged(event.stamp, event.user_id, event.primary_id, False, False)
