"""What Flower shows of jobs in a real browser: their summary, their result, and no personal data."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page
from tests.support.dashboard.browser import Row, Tasks
from tests.support.dashboard.sample_jobs import (
    ANN,
    GIVEN_UP,
    GUEST,
    MARK,
    LockedUsers,
    send_dead_letters,
    send_every_end,
    send_sample_jobs,
)
from tests.support.waits import DEADLINE_SECONDS, wait_until

from rollbook import Rollbook
from rollbook_ops.devstack.stack import LocalStack
from rollbook_shared.jobs.celery_task import alias

GREEN, RED, YELLOW, GREY = "rgb(25, 135, 84)", "rgb(220, 53, 69)", "rgb(255, 193, 7)", "rgb(108, 117, 125)"
FINAL = ("SUCCESS", "FAILURE", "DEFERRED", "CANCELLED")


@pytest.fixture(scope="module", autouse=True)
def sample_jobs(rb: Rollbook, stack: LocalStack) -> None:
    send_sample_jobs(rb)
    send_dead_letters(rb, stack.broker_url)
    send_every_end(rb, stack.broker_url)


def finished_rows(tasks: Tasks, *job_ids: str) -> dict[str, Row]:
    """Wait until these jobs are shown as finished, and return the rows. Events arrive a little later."""
    rows: dict[str, Row] = {}

    def have_finished() -> bool:
        rows.clear()
        rows.update(tasks.open())
        return all(rows.get(id_, {}).get("STATE") in FINAL for id_ in job_ids)

    wait_until(have_finished, what=f"Flower seeing the end of {job_ids}")
    return rows


SUMMARIES = {
    "cart-1": ("rollbook.identify", f"{alias(GUEST)} {{cart}}"),
    "import-1": ("rollbook.bulk_identify", "80 users"),
    "preferences-1": ("rollbook.set_preferences", f"{alias(ANN)} one preference set"),
    "device-1": ("rollbook.set_channel_data", f"{alias(ANN)} one channel"),
    "welcome-1": ("rollbook.trigger", "workflow welcome: 2 recipients, 1 inline"),
    "login-1": ("rollbook.merge", f"{alias(ANN)} <- {alias(GUEST)}"),
    "goodbye-1": ("rollbook.delete", alias(f"{MARK}-7")),
}


def test_a_row_summarises_its_job(tasks: Tasks) -> None:
    rows = finished_rows(tasks, *SUMMARIES)

    assert {id_: (rows[id_]["NAME"], rows[id_]["ARGS"]) for id_ in SUMMARIES} == SUMMARIES


def test_a_row_has_time_worker_and_runtime(tasks: Tasks) -> None:
    rows = finished_rows(tasks, *SUMMARIES)

    for row in map(rows.__getitem__, SUMMARIES):
        assert row["RUNTIME"].endswith(("ms", "s"))
        assert row["RECEIVED"].startswith("20")
        assert row["WORKER"].startswith("bulk-1" if "bulk" in row["NAME"] else "default-1")


def test_an_applied_job_is_green(tasks: Tasks) -> None:
    row = finished_rows(tasks, "welcome-1")["welcome-1"]

    assert (row["STATE"], row["RESULT"], row["EXCEPTION"]) == ("SUCCESS", "'applied'", "")
    assert tasks.colour("welcome-1") == GREEN


def test_a_duplicate_is_shown_as_one(tasks: Tasks) -> None:
    wait_until(lambda: finished_rows(tasks, "again-1")["again-1"]["RESULT"] == "'duplicate'", what="the duplicate")


def test_each_job_is_shown_as_it_ended(tasks: Tasks, rb: Rollbook) -> None:
    keys = {dead.code: dead.key for dead in rb.jobs.list_dead_letters().items if dead.id == "sign-up-1"}
    (foreign,) = [
        dead.id
        for dead in rb.jobs.list_dead_letters().items
        if "other.task" in dead.reason and dead.id.startswith("unidentified-")
    ]
    (no_job,) = {dead.id for dead in rb.jobs.list_dead_letters().items if dead.id.startswith("unidentified-")} - {
        foreign
    }
    reused, malformed = f"sign-up-1~{keys['id_reused']}", f"sign-up-1~{keys['unknown_version']}"
    green, grey, red = ("SUCCESS", GREEN), ("DEFERRED", GREY), ("FAILURE", RED)
    identify, rejected = "rollbook.identify", "JobRejected('every user in it is rejected')"
    expected = {
        "welcome-1": ("rollbook.trigger", *green, "'applied'", ""),
        "sign-up-1": (identify, *green, "'applied'", ""),
        reused: (identify, *red, f"rollbook jobs show sign-up-1 --key {keys['id_reused']}", dead("id_reused")),
        malformed: (
            identify,
            *red,
            f"rollbook jobs show sign-up-1 --key {keys['unknown_version']}",
            dead("unknown_version"),
        ),
        "rejected-1": ("rollbook.bulk_identify", *red, "rollbook jobs get rejected-1", rejected),
        "later-1": (identify, *grey, "'deferred'", ""),
        "cancelled-1": (identify, "CANCELLED", GREY, "'cancelled'", ""),
        "unregistered-1": ("rollbook.forget", *red, "rollbook jobs show unregistered-1", dead("unknown_kind")),
        "no-job-1": (identify, *red, f"rollbook jobs show {no_job}", dead("malformed")),
        foreign: ("rollbook.dead_letter", *red, f"rollbook jobs show {foreign}", dead("malformed")),
        **{f"{code}-1": (identify, *red, f"rollbook jobs show {code}-1", dead(code)) for code in GIVEN_UP},
    }

    rows = finished_rows(tasks, *expected)

    assert {id_: shown(tasks, rows, id_) for id_ in expected} == expected
    assert {id_ for id_ in rows if id_.startswith("sign-up-1")} == {"sign-up-1", reused, malformed}
    failed = {id_ for id_, row in expected.items() if row[1] == "FAILURE"}
    assert tasks.press("Failed").keys() - {"tomorrow-1"} == failed


def dead(code: str) -> str:
    return f"DeadLettered('{code}')"


def shown(tasks: Tasks, rows: dict[str, Row], id_: str) -> tuple[str, ...]:
    row = rows[id_]
    return row["NAME"], row["STATE"], tasks.colour(id_), row["RESULT"], row["EXCEPTION"]


def test_a_dead_letter_whose_id_belongs_to_another_job_has_a_page_that_names_both(tasks: Tasks, rb: Rollbook) -> None:
    (key,) = [dead.key for dead in rb.jobs.list_dead_letters().items if dead.code == "id_reused"]
    rows = finished_rows(tasks, f"sign-up-1~{key}")

    page = tasks.details(f"sign-up-1~{key}")

    assert rows[f"sign-up-1~{key}"]["ARGS"] == page["Arguments"] == f"{alias(ANN)} {{plan}}"
    assert (page["Status"], page["Exception"]) == ("FAILURE", dead("id_reused"))
    _, *command = page["Result"].split()
    assert rb.jobs.get_dead_letter(command[2], key=command[4]).code == "id_reused"
    first = tasks.details("sign-up-1")
    assert (first["Status"], first["Result"]) == ("SUCCESS", "'applied'")
    assert first["Arguments"].startswith("another job was sent under this id: sign-up-1~")


def test_the_broker_page_lists_our_queues(tasks: Tasks) -> None:
    assert tasks.queues().keys() == {"default", "bulk"}


@pytest.mark.parametrize("path", ["/tasks", "/workers", "/broker", "/metrics", "/api/tasks", "/api/queues/length"])
def test_nothing_is_shown_without_the_password_whatever_the_host(
    chromium_browser: Browser, flower_address: str, path: str
) -> None:
    with chromium_browser.new_context() as context:
        answers = [
            context.request.get(f"{flower_address}{path}", headers=headers).status
            for headers in ({}, {"Host": "attacker.example"}, {"Authorization": "Basic cm9sbGJvb2s6"})
        ]

    assert answers == [401, 401, 401]


def test_a_retried_job_is_yellow_and_counts_its_retries(tasks: Tasks, rb: Rollbook, stack: LocalStack) -> None:
    with LockedUsers(stack.database_url):
        job = rb.users.identify(ANN, {"plan": MARK}, job_id="contended-1")
        wait_until(lambda: tasks.open().get(job.id, {}).get("STATE") == "RETRY", what="Flower seeing it wait")
        assert "another transaction holds a lock" in tasks.rows()[job.id]["EXCEPTION"]
        assert tasks.colour(job.id) == YELLOW
    job.wait(DEADLINE_SECONDS)

    row = finished_rows(tasks, job.id)[job.id]
    assert (row["STATE"], row["RESULT"], row["EXCEPTION"]) == ("SUCCESS", "'applied'", "")
    assert tasks.colour(job.id) == GREEN
    assert int(row["RETRIES"]) >= 1


def test_jobs_of_one_batch_have_their_own_rows(tasks: Tasks, rb: Rollbook, stack: LocalStack) -> None:
    ids = [f"together-{n}" for n in range(40)]
    with LockedUsers(stack.database_url):
        jobs = [rb.users.identify(f"{MARK}-{id_}", {"plan": MARK}, job_id=id_) for id_ in ids]
    for job in jobs:
        job.wait(DEADLINE_SECONDS)

    rows = finished_rows(tasks, *ids)

    assert {rows[id_]["RESULT"] for id_ in ids} == {"'applied'"}
    assert "rollbook.batch" not in {row["NAME"] for row in rows.values()}


def test_a_job_can_be_found_by_its_id(tasks: Tasks, page: Page) -> None:
    finished_rows(tasks, "login-1")
    tasks.search("login-1")

    page.get_by_role("link", name="login-1").click()

    details = page.get_by_label("Task details").inner_text()
    for text in ("rollbook.merge", "login-1", f"{alias(ANN)} <- {alias(GUEST)}", "SUCCESS", "applied"):
        assert text in details


def test_the_workers_are_listed_with_their_counts(page: Page, stack: LocalStack) -> None:
    page.goto(f"{stack.flower_url}/workers")

    dead_letters, rejected = 3 + 3 + len(GIVEN_UP), 2  # the second is a duplicate
    page.locator("#workers-failed").filter(has_text=str(dead_letters + rejected)).wait_for()
    table = page.locator("#workers-table").inner_text()
    assert table.replace("\n", "").count("-1.") == 2  # default-1, bulk-1
    assert table.count("Online") == 2


def test_no_page_shows_personal_data(tasks: Tasks, page: Page, stack: LocalStack) -> None:
    jobs = finished_rows(tasks, "sign-up-1", "welcome-1", "login-1", "tomorrow-1")
    seen = {"tasks": page.content()}
    workers = {row["WORKER"] for row in jobs.values()}
    jobs = {id_: row for id_, row in jobs.items() if not id_.startswith("together-")}  # all alike

    for path in ("workers", "broker", *(f"worker/{name}" for name in workers), *(f"task/{id_}" for id_ in jobs)):
        page.goto(f"{stack.flower_url}/{path}", wait_until="domcontentloaded")
        seen[path] = page.content()

    assert [path for path, text in seen.items() if MARK in text] == []
    assert {"broker", "task/sign-up-1", "task/tomorrow-1"} < seen.keys()
