"""Why a user and a message are as they are: the jobs, the ids and the settings that made them so."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.support.producer.applied_jobs import NOW, Applied

from rollbook import MessageExplanation, UserExplanation, UserNotFound
from rollbook_shared.domain.deterministic_ids import message_id

DAY = timedelta(days=1)


def traits(explanation: UserExplanation) -> dict[str, tuple[Any, str, str]]:
    return {".".join(one.path): (one.value, one.job_id, one.user_id) for one in explanation.traits}


def settings(explanation: UserExplanation | MessageExplanation) -> dict[str, tuple[Any, str | None, str | None]]:
    parts = explanation.preferences if isinstance(explanation, UserExplanation) else explanation.settings
    return {".".join(one.path): (one.value, one.job_id, one.user_id) for one in parts}


def guest_becomes_ann(applied: Applied) -> None:
    rb = applied.rb
    rb.users.identify("ann", {"name": "Ann", "address": {"zip": "1"}}, job_id="sign-up", occurred_at=NOW - 9 * DAY)
    rb.users.identify(
        "guest",
        {"name": "A.", "email": "a@example.com", "address": {"zip": "2", "city": "Bern"}},
        job_id="visit",
        occurred_at=NOW - 8 * DAY,
    )
    rb.users.merge("ann", "guest", job_id="merge", occurred_at=NOW - 5 * DAY)
    rb.users.identify("guest", {"cart": 3}, job_id="late", occurred_at=NOW - 4 * DAY)
    applied.now()


def test_a_value_has_its_job_its_time_and_the_id_under_which_it_arrived(applied: Applied) -> None:
    guest_becomes_ann(applied)

    explanation = applied.rb.users.explain("ann")

    assert traits(explanation) == {
        "name": ("Ann", "sign-up", "ann"),
        "email": ("a@example.com", "visit", "guest"),
        "address.zip": ("1", "sign-up", "ann"),
        "address.city": ("Bern", "visit", "guest"),
        "cart": (3, "late", "guest"),
    }
    times = {one.job_id: one.occurred_at for one in explanation.traits}
    assert times == {"sign-up": NOW - 9 * DAY, "visit": NOW - 8 * DAY, "late": NOW - 4 * DAY}


def test_a_merged_id_is_explained_as_the_user_that_it_stands_for(applied: Applied) -> None:
    guest_becomes_ann(applied)

    explanation = applied.rb.users.explain("guest")

    assert (explanation.id, explanation.asked_for, explanation.exists) == ("ann", "guest", True)
    assert explanation.ids == ("ann", "guest")
    (event,) = explanation.events
    assert (event.kind, event.user_id, event.primary_id, event.job_id) == ("merge", "guest", "ann", "merge")
    assert (event.occurred_at, event.no_effect) == (NOW - 5 * DAY, None)
    periods = [(one.user_id, one.since, one.until, one.owner) for one in explanation.ownership]
    assert periods == [
        ("ann", NOW - 9 * DAY, None, "ann"),
        ("guest", NOW - 8 * DAY, NOW - 5 * DAY, "ann"),
        ("guest", NOW - 5 * DAY, None, "ann"),
    ]
    assert explanation.is_complete


def test_history_that_a_merge_did_not_transfer_has_no_owner(applied: Applied) -> None:
    rb = applied.rb
    rb.users.identify("ann", occurred_at=NOW - 90 * DAY)
    rb.users.identify("guest", occurred_at=NOW - 90 * DAY)
    for job_id, ago in (("old", 40), ("new", 20)):
        rb.workflows.trigger("hello", ["guest", "stranger"], job_id=job_id, occurred_at=NOW - ago * DAY)
    rb.users.merge("ann", "guest", job_id="merge", occurred_at=NOW - 5 * DAY)
    applied.now()

    periods = [(one.since, one.until, one.owner) for one in rb.users.explain("guest").ownership if one.user_id != "ann"]
    assert periods == [
        (NOW - 90 * DAY, NOW - 35 * DAY, None),
        (NOW - 35 * DAY, NOW - 5 * DAY, "ann"),
        (NOW - 5 * DAY, None, "ann"),
    ]
    found = [rb.messages.explain_recipient(job_id, "guest") for job_id in ("old", "new")]
    assert [(one.owner, one.owner_reason, one.is_visible) for one in found if one] == [
        (None, "too_old", False),
        ("ann", "merged", True),
    ]
    assert [[event.job_id for event in one.events] for one in found if one] == [["merge"], ["merge"]]
    unknown = rb.messages.explain_recipient("new", "stranger")
    assert unknown is None or unknown.owner_reason == "unknown"
    assert rb.jobs.get("new").skipped == ("stranger",)


def test_an_attribute_that_a_job_set_to_null_has_that_job(applied: Applied) -> None:
    rb = applied.rb
    rb.users.identify("ann", {"email": "ann@example.com"}, job_id="j1", occurred_at=NOW - 2 * DAY)
    rb.users.identify("ann", {"email": None}, job_id="j2", occurred_at=NOW - DAY)
    applied.now()

    assert traits(rb.users.explain("ann")) == {"email": (None, "j2", "ann")}


def test_each_setting_has_the_job_that_set_it_last(applied: Applied) -> None:
    rb = applied.rb
    rb.users.set_preferences(
        "ann",
        "default",
        {"workflows": {"digest": True, "news": False}, "channel_types": {"email": True}},
        job_id="page",
        occurred_at=NOW - 3 * DAY,
    )
    rb.users.update_preferences(
        "ann", "default", {"workflows": {"digest": False}}, job_id="toggle", occurred_at=NOW - 2 * DAY
    )
    applied.now()

    assert settings(rb.users.explain("ann")) == {
        "default.workflows.digest": (False, "toggle", "ann"),
        "default.workflows.news": (False, "page", "ann"),
        "default.channel_types.email": (True, "page", "ann"),
    }


def test_each_token_has_its_job_and_its_device(applied: Applied) -> None:
    rb = applied.rb
    rb.users.set_channel_data("ann", "push", {"tokens": ["t1"], "app": "7"}, job_id="all", occurred_at=NOW - 3 * DAY)
    rb.users.add_push_token("ann", "push", "t2", device={"locale": "de"}, job_id="added", occurred_at=NOW - 2 * DAY)
    applied.now()

    explanation = rb.users.explain("ann")

    assert [(one.channel_id, one.token, one.device, one.job_id) for one in explanation.tokens] == [
        ("push", "t1", None, "all"),
        ("push", "t2", {"locale": "de", "timezone": None}, "added"),
    ]
    assert [(one.path, one.value, one.job_id) for one in explanation.channel_data] == [(("push", "app"), "7", "all")]


def test_of_a_deleted_user_the_events_are_left(applied: Applied) -> None:
    guest_becomes_ann(applied)
    applied.rb.users.delete("guest", job_id="clean-up", occurred_at=NOW - 2 * DAY)
    applied.rb.users.delete("ann", job_id="gone", occurred_at=NOW - DAY)
    applied.now()

    explanation = applied.rb.users.explain("ann")

    assert (explanation.exists, explanation.traits, explanation.ids) == (False, (), ("ann",))
    assert [(event.job_id, event.no_effect is None) for event in explanation.events] == [
        ("merge", True),
        ("clean-up", False),
        ("gone", True),
    ]


def test_nothing_is_explained_of_an_unknown_id(applied: Applied) -> None:
    with pytest.raises(UserNotFound):
        applied.rb.users.explain("unknown")
    assert applied.rb.messages.explain(message_id("none", "ann", "in_app")) is None


def test_the_setting_that_stopped_a_message_is_named_with_its_job(applied: Applied) -> None:
    rb = applied.rb
    rb.users.identify("ann", {}, occurred_at=NOW - 9 * DAY)
    rb.users.set_preferences(
        "ann",
        "default",
        {"workflows": {"digest": {"channel_types": {"email": False}}}, "channel_types": {"email": True}},
        job_id="opt-out",
        occurred_at=NOW - 8 * DAY,
    )
    rb.workflows.trigger("digest", ["ann"], channels=["email", "in_app"], job_id="sent", occurred_at=NOW - 3 * DAY)
    rb.users.unset_preferences("ann", "default", occurred_at=NOW - DAY)
    applied.now()

    stopped = rb.messages.explain_recipient("sent", "ann", channel="email")
    passed = rb.messages.explain_recipient("sent", "ann")

    assert stopped is not None
    assert passed is not None
    assert (stopped.is_allowed, stopped.is_visible, stopped.owner) == (False, False, "ann")
    assert rb.messages.get(stopped.id) is None
    assert stopped.preference_set == "default"
    assert settings(stopped) == {
        "channel_types.email": (True, "opt-out", "ann"),
        "workflows.digest.channel_types.email": (False, "opt-out", "ann"),
    }
    assert (passed.is_visible, rb.messages.explain(passed.id)) == (True, passed)
    assert settings(passed) == {
        "channel_types.in_app": (None, None, None),
        "workflows.digest.channel_types.in_app": (None, None, None),
    }
    assert (passed.owner_reason, passed.delivery) == ("addressed", None)


def test_a_message_of_a_tenant_is_explained_with_the_tenants_set(applied: Applied) -> None:
    rb = applied.rb
    for set_id, is_on in (("default", False), ("acme", True)):
        rb.users.set_preferences("ann", set_id, {"workflows": {"hi": is_on}}, occurred_at=NOW - 3 * DAY)
    rb.workflows.trigger("hi", ["ann"], tenant="acme", job_id="of-acme", occurred_at=NOW - DAY)
    rb.workflows.trigger("hi", ["ann"], tenant="other", job_id="of-other", occurred_at=NOW - DAY)
    applied.now()

    found = [rb.messages.explain_recipient(job_id, "ann") for job_id in ("of-acme", "of-other")]

    assert [(one.preference_set, one.is_allowed) for one in found if one] == [("acme", True), ("default", False)]


def test_a_person_of_a_thousand_ids_is_explained(applied: Applied) -> None:
    rb = applied.rb
    ids = [f"id-{number:04}" for number in range(1_000)]
    for start in range(0, 1_000, 100):
        rb.users.bulk_identify([{"id": id_, id_: 1} for id_ in ids[start : start + 100]], occurred_at=NOW - 3 * DAY)
    for id_ in ids[1:]:
        rb.users.merge(ids[0], id_, occurred_at=NOW - 2 * DAY)
    applied.now()

    explanation = rb.users.explain(ids[-1])

    assert (explanation.id, len(explanation.ids), len(explanation.events)) == (ids[0], 1_000, 999)
    assert explanation.is_complete
    assert {one.path[0]: one.user_id for one in explanation.traits} == {id_: id_ for id_ in ids}
