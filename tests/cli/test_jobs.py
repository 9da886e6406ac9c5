"""`rollbook jobs`: the output of the commands and their exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from tests.support.brokers import connect_to_broker
from typer.testing import CliRunner, Result

from rollbook.errors import DeadLetterNotFound, JobTimeout
from rollbook_ops.cli.app import app
from rollbook_shared.domain.stamps import microseconds
from rollbook_shared.errors import InvalidRequest
from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Delete, Merge
from rollbook_worker.store import PostgresStore, ReceivedJob

NOW: Final = microseconds(datetime(2026, 11, 23, 12, tzinfo=UTC))
DAY: Final = timedelta(days=1) // timedelta(microseconds=1)
Run = Callable[..., Result]


@pytest.fixture
def store(fresh_database_url: str, broker_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[PostgresStore]:
    url = fresh_database_url
    monkeypatch.setenv("ROLLBOOK_DATABASE_URL", url)
    monkeypatch.setenv("ROLLBOOK_BROKER_URL", broker_url)
    with connect_to_broker(broker_url) as client:
        client.flushdb()
    store = PostgresStore(url)
    yield store
    store.close()


def run(*arguments: str | Path, given: str | None = None) -> Result:
    return CliRunner().invoke(app, ["jobs", *map(str, arguments)], input=given)


def arrive(store: PostgresStore, *messages: str) -> None:
    store.apply([ReceivedJob.of(message) for message in messages], now=NOW)


def delete(id_: str, *, later: int = 0) -> str:
    return encode(Delete(id=id_, occurred_at=NOW + later, deferred=bool(later), user_id="u1"))


def dead(id_: str) -> str:
    return json.dumps({**json.loads(delete(id_)), "user_id": "", "note": "about Ann"})


def test_get_shows_a_finished_job(store: PostgresStore) -> None:
    arrive(store, delete("it"))

    shown = run("get", "it", "--json")

    assert (shown.exit_code, json.loads(shown.stdout)["state"]) == (0, "applied")
    assert "applied" in run("get", "it").stdout


def test_wait_for_a_job_that_is_not_finished_exits_with_1(store: PostgresStore) -> None:
    waited = run("wait", "never-sent", "--timeout", "0")

    assert waited.exit_code == 1
    assert "job never-sent is still queued after 0 s" in waited.stderr
    assert "queued" in waited.stdout


def test_wait_for_a_dead_job_exits_with_1(store: PostgresStore) -> None:
    arrive(store, dead("it"))

    assert run("wait", "it").exit_code == 1


def test_deferred_jobs_are_a_table_and_pages(store: PostgresStore) -> None:
    arrive(store, delete("b", later=2 * DAY), delete("a", later=DAY))

    first = run("deferred", "--limit", "1")
    page = json.loads(run("deferred", "--limit", "1", "--json").stdout)
    rest = json.loads(run("deferred", "--after", page["after"], "--json").stdout)

    assert "2026-11-24 12:00:00" in first.stdout
    assert page["after"] in first.stderr
    assert rest == {
        "items": [{"id": "b", "kind": "delete", "due_at": "2026-11-25T12:00:00+00:00"}],
        "after": None,
    }


def test_cancel_reports_whether_it_was_in_time(store: PostgresStore) -> None:
    arrive(store, delete("it", later=DAY), delete("done"))

    in_time, too_late = run("cancel", "it"), run("cancel", "done")

    assert (in_time.exit_code, in_time.stdout) == (0, "cancelled; job it\n")
    assert (too_late.exit_code, too_late.stderr) == (1, "rollbook: not cancelled; job done is applied\n")
    assert json.loads(run("cancel", "it", "--json").stdout) == {"id": "it", "cancelled": True, "state": "cancelled"}


def test_dead_lists_without_bodies_and_show_prints_them(store: PostgresStore) -> None:
    arrive(store, dead("it"))

    listed, shown = run("dead", "--json"), run("show", "it")

    (dead_letter,) = json.loads(listed.stdout)["items"]
    assert (dead_letter["id"], dead_letter["code"], dead_letter["failed_at"]) == (
        "it",
        "invalid",
        "2026-11-23T12:00:00+00:00",
    )
    assert "Ann" not in listed.stdout + run("dead").stdout
    assert dead("it") in shown.stdout
    assert json.loads(run("show", "it", "--json").stdout)["body"] == dead("it")


def test_drop_deletes_a_dead_letter_once(store: PostgresStore) -> None:
    arrive(store, dead("it"))

    first, second = run("drop", "it"), run("drop", "it")

    assert (first.exit_code, first.stdout) == (0, "dropped; dead letter it\n")
    assert (second.exit_code, second.stderr) == (1, "rollbook: no dead letter has the id it\n")
    assert isinstance(run("show", "it").exception, DeadLetterNotFound)


def test_replay_keeps_the_dead_letter_until_the_job_is_finished(
    store: PostgresStore, broker_url: str, tmp_path: Path
) -> None:
    arrive(store, dead("it"))
    (tmp_path / "it.json").write_text(delete("it"))

    sent = run("replay", "it", "--body", tmp_path / "it.json", "--timeout", "0")

    assert isinstance(sent.exception, JobTimeout)
    with connect_to_broker(broker_url) as client:
        assert client.llen("default") == 1
    assert len(json.loads(run("dead", "--json").stdout)["items"]) == 1
    arrive(store, delete("it"))
    assert run("replay", "it", "--body", "-", given=delete("it")).exit_code == 0
    assert json.loads(run("dead", "--json").stdout)["items"] == []


def test_replay_without_a_fix_is_wrong_usage(store: PostgresStore) -> None:
    arrive(store, dead("it"))

    assert isinstance(run("replay", "it").exception, InvalidRequest)


def test_the_status_of_a_merge_says_what_it_did_and_why(store: PostgresStore) -> None:
    for number in (1, 2):
        job = Merge(id=f"merge-{number}", occurred_at=NOW + number, primary_id="ann", secondary_id="guest")
        arrive(store, encode(job))

    assert "redirect" in run("get", "merge-1").stdout
    assert "nothing" in run("get", "merge-2").stdout
    assert "stood for the primary already" in " ".join(run("get", "merge-2").stdout.split())


def test_recent_jobs_are_a_table_and_pages(store: PostgresStore) -> None:
    arrive(store, delete("a"), delete("b", later=DAY), dead("c"))

    shown = run("list")
    page = json.loads(run("list", "--limit", "2", "--json").stdout)
    rest = json.loads(run("list", "--limit", "2", "--json", "--after", page["after"]).stdout)

    assert "deferred" in shown.stdout
    assert [job["id"] for job in page["items"] + rest["items"]] == ["c", "b", "a"]
    assert rest["after"] is None


def test_recent_jobs_are_listed_by_state_kind_user_and_time(store: PostgresStore) -> None:
    arrive(store, delete("a"), delete("b", later=DAY), dead("c"))

    def listed(*options: str) -> list[str]:
        return [job["id"] for job in json.loads(run("list", "--json", *options).stdout)["items"]]

    assert listed("--state", "deferred") == ["b"]
    assert listed("--kind", "merge") == []
    assert listed("--user-id", "u1") == ["b", "a"]
    assert listed("--user-id", "u1", "--state", "deferred") == ["b"]
    assert listed("--since", "2026-11-23T12:00:01Z") == []
    assert listed("--until", "2026-11-23T13:00:00+01:00") == ["c", "b", "a"]
    assert run("list", "--since", "yesterday").exit_code == 2
    assert run("list", "--state", "queued").exit_code == 2
    assert run("list", "--kind", "nothing").exit_code != 0


def test_codes_counts_dead_letters(store: PostgresStore) -> None:
    assert "no dead letters" in run("codes").output
    arrive(store, dead("a"), dead("b"), "junk")

    shown = json.loads(run("codes", "--json").output)["items"]

    assert {each["code"]: each["count"] for each in shown} == {"invalid": 2, "malformed": 1}
    assert "invalid" in run("codes").output


def test_replay_all_says_what_was_not_replayed(store: PostgresStore) -> None:
    arrive(store, dead("a"), dead("b"))

    said = run("replay-all", "invalid", "--limit", "1", "--json")

    report = json.loads(said.output)
    assert said.exit_code == 1
    assert ([each["id"] for each in report["unsent"]], report["finished"]) == (["a"], [])
    assert "not replayed" in run("replay-all", "invalid", "--after", report["after"]).output
    assert run("replay-all", "failed").exit_code == 0


def test_drop_all_drops_those_of_one_code(store: PostgresStore) -> None:
    arrive(store, dead("a"), dead("b"), "junk")

    assert json.loads(run("drop-all", "invalid", "--json").output) == {"code": "invalid", "dropped": 2}
    assert "dropped 1" in run("drop-all", "malformed", "--limit", "1").output
    assert json.loads(run("dead", "--json").output)["items"] == []
