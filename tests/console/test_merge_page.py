"""The page of a merge: both sides and the result before it, and a job after it."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.console.applied import applying
from tests.support.console.visitors import Accounts, Visitor

from rollbook import Rollbook
from rollbook_server.console.merge_diff import merge_diff, preferences_diff


@pytest.fixture(scope="module", autouse=True)
def people(database_url: str) -> None:
    with applying(database_url) as rb:
        sets: dict[str, dict[str, Any]] = {
            "pia": {"workflows": {"news": True}, "channel_types": {"sms": True}, "categories": {"ads": False}},
            "guest-pia": {"workflows": {"news": False, "digest": False}, "categories": {"ads": False}},
        }
        for user_id, settings in sets.items():
            rb.users.identify(user_id, {"plan": "pro"})
            rb.users.set_preferences(user_id, "default", settings)
        rb.users.set_preferences("guest-pia", "acme", {"workflows": {"digest": False}})
        rb.users.identify("mo", {"name": "Mo", "plan": "pro", "address": {"zip": "8001"}})
        rb.users.identify(
            "visitor",
            {"name": "M.", "email": "mo@example.com", "plan": "trial", "address": {"zip": "1", "city": "Bern"}},
        )


def rows(database_url: str) -> dict[str, tuple[Any, Any, Any, str]]:
    with Rollbook(database_url=database_url) as rb:
        preview = rb.users.merge("mo", "visitor", dry_run=True)
        found = merge_diff(rb.users.get("mo"), rb.users.get("visitor"), preview)
    return {".".join((row.section, *row.path)): (row.own, row.other, row.result, row.effect) for row in found}


def test_the_preview_shows_both_sides_and_the_result(admin: Visitor, database_url: str) -> None:
    assert rows(database_url) == {
        "attributes.name": ("Mo", "M.", "Mo", "conflict"),
        "properties.plan": ("pro", "trial", "pro", "conflict"),
        "properties.address.zip": ("8001", "1", "8001", "conflict"),
        "attributes.email": (None, "mo@example.com", "mo@example.com", "added"),
        "properties.address.city": (None, "Bern", "Bern", "added"),
    }
    page = admin.get("/users/mo/merge", **{"from": "visitor"}).text
    for text in ("mo@example.com", "trial", "8001", "Bern", "is given up", "comes from the secondary"):
        assert text in page


@pytest.mark.parametrize(
    ("keep_opt_outs", "effects"),
    [
        (
            False,
            {
                "default.workflows.digest": (None, False, None, "conflict"),
                "default.workflows.news": (True, False, True, "conflict"),
                "default.channel_types.sms": (True, None, True, "own"),
                "default.categories.ads": (False, False, False, "same"),
                "acme.workflows.digest": (None, False, False, "added"),
            },
        ),
        (
            True,
            {
                "default.workflows.digest": (None, False, False, "added"),
                "default.workflows.news": (True, False, False, "added"),
                "default.channel_types.sms": (True, None, True, "own"),
                "default.categories.ads": (False, False, False, "same"),
                "acme.workflows.digest": (None, False, False, "added"),
            },
        ),
    ],
    ids=["the sets of the primary", "the opt-outs of both"],
)
def test_preferences_are_compared_setting_by_setting(
    operator: Visitor,
    database_url: str,
    keep_opt_outs: bool,
    effects: dict[str, tuple[bool | None, bool | None, bool | None, str]],
) -> None:
    with Rollbook(database_url=database_url) as rb:
        preview = rb.users.merge("pia", "guest-pia", dry_run=True, keep_opt_outs=keep_opt_outs)
        found = preferences_diff(rb.users.list_preferences("pia"), rb.users.list_preferences("guest-pia"), preview)
        options = {"from": "guest-pia", **({"keep_opt_outs": "yes"} if keep_opt_outs else {})}
        page = operator.get("/users/pia/merge", **options).text

    assert {".".join(row.path): (row.own, row.other, row.result, row.effect) for row in found} == effects
    for row in found:
        assert " / ".join(row.path) in page
    assert ("the secondary&#39;s is given up" in page) is not keep_opt_outs


def test_values_of_both_sides_are_masked(operator: Visitor, accounts: Accounts) -> None:
    page = operator.get("/users/mo/merge", **{"from": "visitor"})

    assert page.status_code == 200
    for value in ("mo@example.com", "8001", "Bern", "trial"):
        assert value not in page.text
    shown = operator.post(
        "/users/mo/merge?from=visitor", {"reveal_reason": "both are Mo"}, on="/users/mo/merge?from=visitor"
    )
    assert "mo@example.com" in shown.text
    assert set(accounts.audit(action="reveal")[0].user_ids) == {"mo", "visitor"}


def test_the_same_id_and_an_unknown_one_are_explained(admin: Visitor) -> None:
    assert "not known" in admin.get("/users/mo/merge", **{"from": "never"}).text
    assert admin.get("/users/mo/merge", **{"from": "mo"}).status_code == 200


def test_a_merge_wants_a_confirmation_and_is_a_job(operator: Visitor, accounts: Accounts, database_url: str) -> None:
    form = {"from": "visitor", "keep_opt_outs": "yes"}
    assert operator.post("/users/mo/merged", form, on="/users/mo/merge?from=visitor").status_code == 400

    merged = operator.post("/users/mo/merged", {**form, "confirm": "yes"}, on="/users/mo/merge?from=visitor")

    assert merged.status_code == 303
    entry = accounts.audit(action="users.merge")[0]
    assert (entry.outcome, entry.account, set(entry.user_ids)) == ("done", "oda", {"mo", "visitor"})
    with Rollbook(database_url=database_url) as rb:
        assert rb.jobs.get(entry.job_id or "").effect == "merge"
        assert rb.users.get("mo").email == "mo@example.com"
