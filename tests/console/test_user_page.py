"""The page of one user, and what may be done there."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from tests.support.console.applied import applying
from tests.support.console.visitors import Accounts, Visitor

from rollbook import Rollbook, UserNotFound

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


@pytest.fixture(scope="module", autouse=True)
def ann(database_url: str) -> None:
    """A user with all that there is: a guest before, preferences, tokens, messages, one of which was stopped."""
    with applying(database_url) as rb:
        rb.users.identify("ann", {"name": "Ann Arbor", "email": "ann@example.com", "plan": "pro"}, job_id="sign-up")
        rb.users.identify("guest", {"plan": "trial", "city": "Oslo"}, job_id="visit", occurred_at=NOW - 9 * DAY)
        rb.users.set_preferences("ann", "default", {"workflows": {"digest": False}}, job_id="settings")
        rb.users.add_push_token("ann", "push", "token-of-a-phone-1234", device={"locale": "de-CH"}, job_id="phone")
        rb.users.merge("ann", "guest", job_id="the-merge")
        rb.workflows.trigger("welcome", ["ann"], actor="guest", data={"secret": "of-the-message"}, job_id="greeting")
        rb.workflows.trigger("digest", ["ann"], job_id="stopped")
        rb.users.identify("gone", {"plan": "pro"})


def test_each_value_stands_with_its_job_and_the_id_under_which_it_arrived(admin: Visitor) -> None:
    page = admin.get("/users/ann")

    assert page.status_code == 200
    for text in ("Ann Arbor", "ann@example.com", "Oslo", "sign-up", "visit", "the-merge", "greeting"):
        assert text in page.text
    assert 'href="/console/jobs/visit"' in page.text


def test_a_merged_id_shows_the_user_that_it_stands_for(admin: Visitor) -> None:
    page = admin.get("/users/guest")

    assert page.status_code == 200
    assert "was merged into this user" in page.text
    assert "Ann Arbor" in page.text


def test_preferences_say_what_applies_and_why(admin: Visitor) -> None:
    page = admin.get("/users/ann").text

    assert "workflows / digest" in page
    assert "settings" in page


def test_the_ids_are_a_picture_with_a_name(admin: Visitor) -> None:
    page = admin.get("/users/ann").text

    assert '<svg viewBox="0 0 ' in page
    assert "guest into ann" in page


def test_an_unknown_user_is_not_found_and_a_null_byte_is_rejected(admin: Visitor) -> None:
    assert admin.get("/users/never-seen").status_code == 404
    assert admin.http.get("/console/users/a%00b").status_code == 400
    assert admin.get("/users/ann", messages="no cursor").status_code == 400


def test_personal_data_is_masked_for_who_has_no_right(reader: Visitor, admin: Visitor) -> None:
    shown, masked = admin.get("/users/ann").text, reader.get("/users/ann").text

    for value in ("Ann Arbor", "ann@example.com", "Oslo", "token-", "de-CH"):
        assert value in shown
        assert value not in masked
    assert "of-a-phone" not in shown  # tokens are shortened for all


def test_an_operator_sees_it_once_with_a_reason(operator: Visitor, accounts: Accounts) -> None:
    assert "Ann Arbor" not in operator.get("/users/ann").text

    shown = operator.post("/users/ann", {"reveal_reason": "ticket 12"}, on="/users/ann")

    assert "Ann Arbor" in shown.text
    entry = accounts.audit(action="reveal")[0]
    assert (entry.account, entry.reason, entry.user_ids) == ("oda", "ticket 12", ("ann",))


@pytest.mark.parametrize("path", ["/users/ann/delete", "/users/ann/export", "/users/ann/test", "/users/ann/merged"])
def test_a_reader_does_nothing_by_request(path: str, reader: Visitor, accounts: Accounts, database_url: str) -> None:
    form = {"confirm": "ann", "reason": "x", "workflow": "welcome", "from": "gone"}

    assert reader.post(path, form, on="/account").status_code == 403

    assert accounts.audit(account="rex")[0].outcome == "rejected"
    with Rollbook(database_url=database_url) as rb:
        assert rb.users.get("ann").email == "ann@example.com"
        assert rb.users.get("gone").id == "gone"
    buttons = reader.get("/users/ann").text
    assert "Delete…" not in buttons
    assert "Merge…" not in buttons
    assert reader.get("/users/ann/merge").status_code == 403


def test_an_operator_does_not_delete(operator: Visitor) -> None:
    assert operator.post("/users/ann/delete", {"confirm": "ann"}, on="/users/ann").status_code == 403


def test_a_delete_wants_the_id_and_is_a_job_that_the_audit_names(
    admin: Visitor, accounts: Accounts, database_url: str
) -> None:
    assert admin.post("/users/gone/delete", {"confirm": "someone"}, on="/users/gone").status_code == 400

    deleted = admin.post("/users/gone/delete", {"confirm": "gone"}, on="/users/gone")

    assert deleted.status_code == 303
    assert "The user was deleted." in admin.http.get(deleted.headers["location"]).text
    entry = accounts.audit(action="users.delete")[0]
    assert (entry.outcome, entry.user_ids) == ("done", ("gone",))
    with Rollbook(database_url=database_url) as rb:
        with pytest.raises(UserNotFound):
            rb.users.get("gone")
        assert rb.jobs.get(entry.job_id or "").kind == "delete"
    assert "There is no such user any more" in admin.get("/users/gone").text


def test_an_export_is_a_file_for_which_a_masked_account_gives_a_reason(
    operator: Visitor, admin: Visitor, accounts: Accounts
) -> None:
    assert operator.post("/users/ann/export", on="/users/ann").status_code == 403

    exported = operator.post("/users/ann/export", {"reason": "she asked"}, on="/users/ann")

    assert exported.headers["content-disposition"].startswith("attachment")
    assert json.loads(exported.text)["id"] == "ann"
    assert accounts.audit(action="users.export", account="oda")[0].reason == "she asked"
    assert admin.post("/users/ann/export", on="/users/ann").status_code == 200


def test_a_test_trigger_makes_a_message(operator: Visitor, accounts: Accounts, database_url: str) -> None:
    form = {"workflow": "try-out", "data": '{"n": 1}', "channels": "in_app, email"}

    sent = operator.post("/users/ann/test", form, on="/users/ann")

    assert sent.status_code == 303
    job_id = accounts.audit(action="workflows.trigger")[0].job_id
    with Rollbook(database_url=database_url) as rb:
        found = {message.channel: message.data for message in rb.messages.list("ann").items if message.job_id == job_id}
    assert found == {"in_app": {"n": 1}, "email": {"n": 1}}
    assert operator.post("/users/ann/test", {**form, "data": "[1]"}, on="/users/ann").status_code == 400


def test_a_message_says_whose_it_is_and_which_setting_stopped_it(admin: Visitor, reader: Visitor) -> None:
    found = admin.http.get("/console/messages", params={"job_id": "stopped", "user_id": "ann"}, follow_redirects=True)

    assert found.status_code == 200
    assert "stopped it" in found.text
    assert "workflows / digest" in found.text
    shown = admin.http.get("/console/messages?job_id=greeting&user_id=ann", follow_redirects=True).text
    masked = reader.http.get("/console/messages?job_id=greeting&user_id=ann", follow_redirects=True).text
    assert "of-the-message" in shown
    assert "of-the-message" not in masked
    assert "secret" in masked


def test_where_no_message_was_made_the_page_says_why(admin: Visitor) -> None:
    page = admin.get("/messages", job_id="greeting", user_id="bo")

    assert "did not name this recipient" in page.text
    assert admin.get("/messages/none").status_code == 404


HOSTILE = {
    "tags": "<script>alert(1)</script>",
    "attributes": "\" onmouseover=alert(1) x='",
    "rtl": "\u202eevil\u202c",
    "emoji": "👩‍👩‍👧‍👦" * 20,
    "long": "x" * 200_000,
    "<b>key</b>": {"deep": [["{{ 7 * 7 }}", None, True]]},
    "template": "{% raw %}",
}


def test_hostile_data_is_text(admin: Visitor, database_url: str) -> None:
    id_ = "<img src=x onerror=alert(1)>'\"&"
    with applying(database_url) as rb:
        rb.users.identify(id_, HOSTILE)
        rb.users.identify("innocent", {"name": "<i>Eve</i>"})
        rb.users.set_preferences(id_, "<set>", {"workflows": {"<w>": {"channel_types": {"<c>": False}}}})
        rb.users.set_channel_data(id_, "<ch>", {"tokens": ["<token>"], "<k>": "<v>"})
        rb.workflows.trigger("<flow>", [id_], actor="innocent", data={"<d>": "</pre><script>"}, job_id="hostile")
        rb.users.merge(id_, "innocent")

    for path in (
        "/users/%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E'%22%26",
        "/users/%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E'%22%26/merge?from=ann",
    ):
        page = admin.http.get(f"/console{path}")
        assert page.status_code == 200
        assert len(page.text) < 100_000
        for tag in ("<script>alert", "<img src=x", "<b>key", "<i>Eve", "<flow>", "<set>", "<token>", "<w>", "<c>"):
            assert tag not in page.text
        assert "onmouseover=alert(1) x='" not in page.text.replace("&#39;", "").replace("&#34; onmouseover", "")
    message = admin.http.get("/console/messages", params={"job_id": "hostile", "user_id": id_}, follow_redirects=True)
    assert message.status_code == 200
    assert "</pre><script>" not in message.text
