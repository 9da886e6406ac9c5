"""Ids that stand for a missing value are rejected by the client where the setting says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rollbook import InvalidRequest, Limits, Rollbook
from rollbook.testing import recording
from rollbook_shared.domain.mistaken_ids import mistake_in_id
from rollbook_shared.limits import MistakenIds

STRICT = Limits(mistaken_ids=MistakenIds.REJECT)
MISSING = "is what a program writes for a missing value, and not the id of a user"

CALLS: dict[str, tuple[Callable[[Rollbook, str], object], str]] = {
    "identify": (lambda rb, id_: rb.users.identify(id_), "id"),
    "buffered identify": (lambda rb, id_: rb.buffered().users.identify(id_), "id"),
    "bulk_identify": (lambda rb, id_: rb.users.bulk_identify([{"id": "ann"}, {"id": id_}]), "users[1].id"),
    "merge into": (lambda rb, id_: rb.users.merge(id_, "ann"), "user_id"),
    "merge from": (lambda rb, id_: rb.users.merge("ann", id_), "from_user_id"),
    "set_preferences": (lambda rb, id_: rb.users.set_preferences(id_, "default", {}), "user_id"),
    "update_preferences": (lambda rb, id_: rb.users.update_preferences(id_, "default", {}), "user_id"),
    "bulk_set_preferences": (
        lambda rb, id_: rb.users.bulk_set_preferences(["ann", id_], "default", {}),
        "user_ids[1]",
    ),
    "set_channel_data": (lambda rb, id_: rb.users.set_channel_data(id_, "push", {"tokens": []}), "user_id"),
    "add_push_token": (lambda rb, id_: rb.users.add_push_token(id_, "push", "f3a"), "user_id"),
    "trigger for": (lambda rb, id_: rb.workflows.trigger("hello", ["ann", id_]), "recipients[1]"),
    "trigger for an inline user": (
        lambda rb, id_: rb.workflows.trigger("hello", ["ann", {"id": id_}]),
        "recipients[1].id",
    ),
    "trigger by": (lambda rb, id_: rb.workflows.trigger("hello", ["ann"], actor=id_), "actor"),
}


@pytest.mark.parametrize("user_id", ["undefined", "null", "[object Object]", "NaN", "None"])
@pytest.mark.parametrize("call", CALLS)
def test_a_mistaken_id_is_rejected_where_the_limits_say_so(call: str, user_id: str) -> None:
    do, field = CALLS[call]
    rb = recording(limits=STRICT)

    with pytest.raises(InvalidRequest) as rejected:
        do(rb, user_id)

    assert [(problem.field, problem.reason) for problem in rejected.value.problems] == [(field, MISSING)]
    assert rb.sent == []


@pytest.mark.parametrize("call", CALLS)
def test_any_valid_id_is_accepted_by_default(call: str) -> None:
    rb = recording()

    CALLS[call][0](rb, "undefined")


@pytest.mark.parametrize(
    "clean_up",
    [
        lambda rb: rb.users.delete("undefined"),
        lambda rb: rb.users.bulk_delete(["undefined"]),
        lambda rb: rb.users.unset_preferences("undefined", "default"),
        lambda rb: rb.users.unset_channel_data("undefined", "push"),
        lambda rb: rb.users.remove_push_token("undefined", "push", "f3a"),
    ],
)
def test_what_such_a_user_has_can_be_removed(clean_up: Callable[[Any], object]) -> None:
    rb = recording(limits=STRICT)

    clean_up(rb)

    assert len(rb.sent) == 1


def test_the_environment_can_say_so() -> None:
    rb = Rollbook.from_env({"ROLLBOOK_BROKER_URL": "redis://127.0.0.1:1/0", "ROLLBOOK_MISTAKEN_IDS": "reject"})

    with pytest.raises(InvalidRequest, match=MISSING):
        rb.users.identify("undefined")


@pytest.mark.parametrize(
    ("user_id", "reason"),
    [
        ("ann", None),
        ("none", None),
        ("undefined-7", None),
        ("1E5", None),
        (7, None),
        ("", None),
        ("   ", "is blank"),
        (" null ", MISSING),
        ("1.23457E+12", "is a number that a spreadsheet has rounded; export it again with this column as text"),
    ],
)
def test_a_mistake_is_what_no_one_means_as_an_id(user_id: object, reason: str | None) -> None:
    assert mistake_in_id(user_id) == reason
