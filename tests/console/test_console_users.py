"""The list of users: search, filters, order, pages, masks."""

from __future__ import annotations

import httpx
import pytest
from tests.support.console.visitors import Accounts, Visitor
from tests.support.server.running_server import RunningServer

from rollbook_server.console.roles import Role


@pytest.fixture(scope="module", autouse=True)
def _people(server: RunningServer) -> None:
    people = [
        {"id": f"user-{number:03}", "name": f"Person {number}", "plan": "pro" if number % 2 else "free"}
        for number in range(60)
    ]
    with server.client() as api:
        assert api.post("/v1/users/bulk/identify", json={"users": people}).status_code < 300
        ann = {"email": "Ann@example.com", "name": "Ann Miller", "phone_number": "+41791234567", "plan": "team"}
        assert api.put("/v1/users/ann", json=ann).status_code < 300


def test_the_first_page_lists_users_and_counts_them(admin: Visitor) -> None:
    page = admin.get("/users")

    assert page.status_code == 200
    assert "61 users" in page.text
    assert "Ann@example.com" in page.text
    assert 'rel="next"' in page.text


@pytest.mark.parametrize("text", ["ann", "ann@exam", "ANN@EXAMPLE.COM", "Ann Mil", "+41791234567"])
def test_a_user_is_found_by_id_address_name_and_phone_number(admin: Visitor, text: str) -> None:
    page = admin.get("/users", q=text)

    assert "/console/users/ann" in page.text
    assert "/console/users/user-001" not in page.text


def test_filters_and_order_apply_together(admin: Visitor) -> None:
    page = admin.get("/users", key=["plan", ""], **{"is": ["team", ""]}, sort="-updated_at")

    assert "1 user<" in page.text
    assert "/console/users/ann" in page.text


def test_pages_follow_each_other(admin: Visitor) -> None:
    first = admin.get("/users")
    second = follow(admin, first, "next")

    assert "user-001" in first.text
    assert "user-001" not in second.text
    assert "user-059" in second.text
    assert "user-001" in follow(admin, second, "prev").text


def test_personal_data_is_masked_without_the_right(reader: Visitor) -> None:
    page = reader.get("/users", q="ann").text

    assert "/console/users/ann" in page
    assert "A•••@•••" in page
    for value in ("Ann@example.com", "Ann Miller", "+41791234567", "team"):
        assert value not in page


@pytest.mark.parametrize("text", ["Ann@exam", "Ann Mil", "+4179123456"])
def test_masked_values_cannot_be_guessed_by_their_beginning(reader: Visitor, text: str) -> None:
    assert "/console/users/ann" not in reader.get("/users", q=text).text


def test_masked_values_cannot_be_guessed_by_filters(reader: Visitor) -> None:
    assert "not applied" in reader.get("/users", key="plan", **{"is": "team"}).text


@pytest.mark.parametrize("text", ["ann", "ann@example.com", "+41791234567"])
def test_what_a_caller_of_support_says_in_full_finds_the_user(reader: Visitor, text: str) -> None:
    assert "/console/users/ann" in reader.get("/users", q=text).text


def test_an_operator_sees_masked_data_with_a_reason_that_is_kept(operator: Visitor, accounts: Accounts) -> None:
    without = operator.post("/users?q=ann", {"reveal_reason": " "}, on="/users")
    shown = operator.post("/users?q=ann", {"reveal_reason": "ticket 4711"}, on="/users")

    assert without.status_code == 400
    assert "Ann Miller" not in without.text
    assert shown.status_code == 200
    assert "Ann Miller" in shown.text
    assert "Ann Miller" not in operator.get("/users", q="ann").text
    newest, before, *_ = accounts.audit(action="reveal", account="oda")
    assert (newest.outcome, newest.user_ids, newest.reason) == ("done", ("ann",), "ticket 4711")
    assert before.outcome == "rejected"


def test_a_reader_cannot_see_masked_data(reader: Visitor, accounts: Accounts) -> None:
    answer = reader.post("/users?q=ann", {"reveal_reason": "curiosity"}, on="/users")

    assert answer.status_code == 403
    assert "Ann Miller" not in answer.text
    assert accounts.audit(action="reveal", account="rex")[0].outcome == "rejected"


def test_an_operator_with_the_right_sees_everything_at_once(accounts: Accounts) -> None:
    visitor = accounts.visitor("olga", Role.OPERATOR, sees_personal_data=True)

    assert "Ann Miller" in visitor.get("/users", q="ann").text


@pytest.mark.parametrize("query", [{"sort": "x"}, {"after": "x"}, {"key": ["a", "b"], "is": ["c"]}, {"q": "a\0b"}])
def test_what_is_not_valid_is_rejected_as_a_page(admin: Visitor, query: dict[str, str]) -> None:
    page = admin.get("/users", **query)

    assert page.status_code == 400
    assert "Not valid" in page.text


def follow(visitor: Visitor, page: httpx.Response, rel: str) -> httpx.Response:
    address = page.text.partition(f'rel="{rel}" href="')[2].partition('"')[0].replace("&amp;", "&")
    return visitor.http.get(address)
