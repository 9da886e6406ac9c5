"""What Flower shows of jobs in a real browser: their summary, their result, and no personal data."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page
from tests.support.dashboard.browser import Row, Tasks
from tests.support.dashboard.sample_jobs import ANN, GUEST, MARK, LockedUsers, send_dead_letters, send_sample_jobs
from tests.support.waits import DEADLINE_SECONDS, wait_until

from rollbook import Rollbook
from rollbook_ops.devstack.stack import LocalStack
from rollbook_shared.jobs.celery_task import alias

GREEN, RED, YELLOW = "rgb(25, 135, 84)", "rgb(220, 53, 69)", "rgb(255, 193, 7)"


@pytest.fixture(scope="module", autouse=True)
def sample_jobs(rb: Rollbook, stack: LocalStack) -> None:
    send_sample_jobs(rb)
    send_dead_letters(rb, stack.broker_url)


def finished_rows(tasks: Tasks, *job_ids: str) -> dict[str, Row]:
    """Wait until these jobs are shown as finished, and return the rows. Events arrive a little later."""
    rows: dict[str, Row] = {}

    def have_finished() -> bool:
        rows.clear()
        rows.update(tasks.open())
        return all(rows.get(id_, {}).get("STATE") in ("SUCCESS", "FAILURE") for id_ in job_ids)

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


def test_dead_letters_are_red_and_have_a_reason(tasks: Tasks) -> None:
    finished_rows(tasks, "tomorrow-1")

    failed = tasks.press("Failed")

    assert {row["NAME"]: row["EXCEPTION"] for row in failed.values()} == {
        "rollbook.identify": "DeadLettered('unknown_version')",
        "rollbook.dead_letter": "DeadLettered('malformed')",
    }
    assert {row["STATE"] for row in failed.values()} == {"FAILURE"}
    assert {tasks.colour(id_) for id_ in failed} == {RED}


def test_a_dead_letter_with_a_reused_id_is_shown_in_the_row(tasks: Tasks) -> None:
    row = finished_rows(tasks, "sign-up-1")["sign-up-1"]

    assert (row["STATE"], row["EXCEPTION"]) == ("SUCCESS", "DeadLettered('id_reused')")


def test_a_retried_job_is_yellow_and_counts_its_retries(tasks: Tasks, rb: Rollbook, stack: LocalStack) -> None:
    with LockedUsers(stack.database_url):
        job = rb.users.identify(ANN, {"plan": MARK}, job_id="hindered-1")
        wait_until(lambda: tasks.open().get(job.id, {}).get("STATE") == "RETRY", what="Flower seeing it wait")
        assert "another transaction holds a lock" in tasks.rows()[job.id]["EXCEPTION"]
        assert tasks.colour(job.id) == YELLOW
    job.wait(DEADLINE_SECONDS)

    row = finished_rows(tasks, job.id)[job.id]
    assert row["RESULT"] == "'applied'"
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

    page.locator("#workers-failed").filter(has_text="3").wait_for()
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
