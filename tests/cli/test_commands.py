"""The commands that read and write: what they print, how they exit, and that an error is one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.support.brokers import connect_to_broker
from tests.support.python_processes import run_python
from typer.testing import CliRunner, Result

from rollbook_ops.cli.app import app
from rollbook_shared.domain.stamps import microseconds
from rollbook_shared.errors import RollbookError
from rollbook_shared.install_hint import install_hint
from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Identify, Job, Merge, UserUpdate
from rollbook_worker.migrations.optional_indexes import OPTIONAL_INDEXES
from rollbook_worker.store import PostgresStore, ReceivedJob

_AT = microseconds(datetime(2026, 3, 1, tzinfo=UTC))

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def filled(database_url: str) -> str:
    """A database with users, one of whom a guest was merged into."""

    def identify(number: int, id_: str, **traits: object) -> Job:
        return Identify(id=f"identify-{number}", occurred_at=_AT, user=UserUpdate(id=id_, traits=traits))

    jobs = [
        identify(1, "ann", name="Ann [bold]", email="ann@example.com", seats=5, plan="pro"),
        identify(2, "bo", name="Bo", seats="5"),
        identify(3, "guest", plan="free"),
        identify(4, "visitor", plan="trial", city="Oslo"),
        Merge(id="merge-1", occurred_at=_AT + 1, primary_id="ann", secondary_id="guest"),
    ]
    store = PostgresStore(database_url)
    store.apply([ReceivedJob.of(encode(job)) for job in jobs], now=_AT + 2)
    store.close()
    return database_url


@pytest.fixture
def run(filled: str, broker_url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command of rollbook against the servers."""
    with connect_to_broker(broker_url) as client:
        client.flushdb()
    monkeypatch.setenv("ROLLBOOK_DATABASE_URL", filled)
    monkeypatch.setenv("ROLLBOOK_BROKER_URL", broker_url)

    def run(*arguments: str | Path) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return run


def waiting(broker_url: str, queue: str) -> int:
    with connect_to_broker(broker_url) as client:
        return int(client.llen(queue))


def test_get_shows_a_user(run: Run) -> None:
    shown = run("users", "get", "ann")

    assert shown.exit_code == 0
    assert "Ann [bold]" in shown.stdout
    assert "properties.plan" in shown.stdout


def test_explain_shows_the_job_of_each_value_and_the_merge(run: Run) -> None:
    shown = run("users", "explain", "ann")

    assert shown.exit_code == 0
    lines = shown.stdout.splitlines()
    assert [line for line in lines if "properties.city" in line and "identify-4" not in line] == []
    assert any("properties.plan" in line and "identify-1" in line for line in lines)
    assert any("merge guest into ann" in line and "merge-1" in line for line in lines)
    document = json.loads(run("users", "explain", "guest", "--json").stdout)
    assert (document["id"], document["asked_for"]) == ("ann", "guest")
    assert run("users", "explain", "unknown").exit_code == 1


def test_explain_takes_a_message_or_its_trigger(run: Run) -> None:
    missing = run("messages", "explain", "--job-id", "none", "--user-id", "ann")

    assert missing.exit_code == 1
    assert "no such message" in missing.stderr
    for wrong in (
        (),
        ("--job-id", "none"),
        ("6f0d5b0e-3d5c-5f0e-9f53-6b1d1c0f7a11", "--job-id", "x", "--user-id", "y"),
    ):
        assert run("messages", "explain", *wrong).exit_code == 2


def test_get_as_json_is_one_object(run: Run) -> None:
    user = json.loads(run("users", "get", "ann", "--json").stdout)

    assert user["id"] == "ann"
    assert user["properties"] == {"seats": 5, "plan": "pro"}


def test_get_of_an_unknown_user_exits_with_1(run: Run) -> None:
    shown = run("users", "get", "unknown")

    assert (shown.exit_code, shown.stdout) == (1, "")
    assert shown.stderr == "rollbook: user unknown not found\n"


def test_get_of_a_merged_user_names_the_primary(run: Run) -> None:
    shown = run("users", "get", "guest", "--json")

    assert shown.exit_code == 1
    assert "it was merged into ann" in shown.stderr
    assert json.loads(shown.stdout) == {"id": "guest", "found": False, "merged_into": "ann"}


def test_list_pages_in_the_order_of_ids(run: Run) -> None:
    first = json.loads(run("users", "list", "--json", "--limit", "2").stdout)
    second = json.loads(run("users", "list", "--json", "--after", first["after"]).stdout)

    assert [user["id"] for user in first["items"]] == ["ann", "bo"]
    assert [user["id"] for user in second["items"]] == ["visitor"]
    assert second["after"] is None


@pytest.mark.parametrize(
    ("where", "ids"),
    [("seats=5", ["ann"]), ('seats="5"', ["bo"]), ("plan=pro", ["ann"]), ("name=Bo", ["bo"]), ("plan=none", [])],
)
def test_list_filters_by_attribute_and_property(run: Run, where: str, ids: list[str]) -> None:
    page = json.loads(run("users", "list", "--json", "--where", where).stdout)

    assert [user["id"] for user in page["items"]] == ids


def test_list_prints_the_option_for_the_next_page(run: Run) -> None:
    shown = run("users", "list", "--limit", "1")

    assert "--after" in shown.stderr


def test_list_rejects_a_malformed_filter(run: Run) -> None:
    assert run("users", "list", "--where", "plan").exit_code == 2


def test_users_are_filtered_sorted_and_read_backwards(run: Run) -> None:
    def listed(*options: str) -> list[str]:
        return [user["id"] for user in json.loads(run("users", "list", "--json", *options).stdout)["items"]]

    assert listed("--email", "ANN@example.com") == ["ann"]
    assert listed("--prefix", "B") == ["bo"]
    assert listed("--sort=-updated_at") == ["ann", "visitor", "bo"]
    first = json.loads(run("users", "list", "--json", "--limit", "1").stdout)
    second = json.loads(run("users", "list", "--json", "--limit", "1", "--after", first["after"]).stdout)
    assert first["before"] is None
    assert listed("--limit", "1", "--before", second["before"]) == ["ann"]


def test_users_are_found_and_counted(run: Run) -> None:
    found = run("users", "find", "--email", "Ann@Example.com")
    missing = run("users", "find", "--phone-number", "+41315550100")

    assert found.exit_code == 0
    assert "ann@example.com" in found.stdout
    assert missing.exit_code == 1
    assert run("users", "find").exit_code == 2
    assert json.loads(run("users", "find", "--email", "ann@example.com", "--json").stdout)[0]["id"] == "ann"
    assert run("users", "count").stdout == "3\n"
    assert json.loads(run("users", "count", "--where", "plan=trial", "--json").stdout) == {"value": 1, "is_exact": True}


@pytest.mark.parametrize("index", OPTIONAL_INDEXES)
def test_migrate_creates_and_drops_an_optional_index(run: Run, index: str) -> None:
    created = run("migrate", "--index", index)
    again = run("migrate", "--index", index)
    dropped = run("migrate", "--drop-index", index)

    assert f"the index {index} is created" in created.stderr
    assert "is there already" in again.stderr
    assert "is dropped" in dropped.stderr


def test_a_dry_run_of_merge_previews_and_sends_nothing(run: Run, broker_url: str) -> None:
    shown = run("users", "merge", "ann", "visitor", "--dry-run")

    assert shown.exit_code == 0
    assert "visitor becomes part of ann" in shown.stdout
    assert "properties.plan" in shown.stdout
    assert waiting(broker_url, "default") == 0


@pytest.mark.parametrize("arguments", [("merge", "ann", "visitor"), ("delete", "ann")])
def test_a_write_is_sent_and_names_its_job(run: Run, broker_url: str, arguments: tuple[str, ...]) -> None:
    sent = run("users", *arguments, "--wait", "0", "--json")

    assert sent.exit_code == 0
    assert json.loads(sent.stdout)["state"] == "sent"
    assert waiting(broker_url, "default") == 1


def test_a_write_that_is_not_applied_in_time_exits_with_1(run: Run) -> None:
    sent = run("users", "delete", "ann", "--wait", "0.01", "--json")

    assert sent.exit_code == 1
    assert json.loads(sent.stdout)["state"] == "queued"


def test_jobs_get_shows_the_status_of_a_job(run: Run) -> None:
    assert json.loads(run("jobs", "get", "merge-1", "--json").stdout)["state"] == "applied"
    assert "applied" in run("jobs", "get", "merge-1").stdout
    unknown = run("jobs", "get", "unheard-of", "--json")
    assert json.loads(unknown.stdout)["state"] == "queued"
    assert "it waits, or it was never sent" in unknown.stderr


def test_import_sends_chunks_and_exits_with_1_if_a_line_is_rejected(run: Run, broker_url: str, tmp_path: Path) -> None:
    file = tmp_path / "users.csv"
    file.write_text(
        "id,email,seats\n" + "".join(f"u{n},u{n}@example.com,{n}\n" for n in range(250)) + "u/x,nowhere,1\n"
    )

    done = run("import", file, "--json", "--rejected", tmp_path / "rejected.csv")

    summary = json.loads(done.stdout)
    assert done.exit_code == 1
    assert (summary["users"], summary["rejected"], summary["jobs"]) == (250, 1, 3)
    assert waiting(broker_url, "bulk") == 3
    assert "e-mail address" in done.stderr
    rejected = (tmp_path / "rejected.csv").read_text().splitlines()
    assert [line.split(",")[:2] for line in rejected] == [["_rollbook_line", "_rollbook_field"], ["252", "id; email"]]
    assert [line.split(",")[4:] for line in rejected] == [["id", "email", "seats"], ["u/x", "nowhere", "1"]]


def test_import_of_a_log_reports_what_was_sent_skipped_and_left_out(run: Run, broker_url: str, tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    at = {"timestamp": "2026-03-01T10:00:00Z"}
    calls = [
        {"type": "identify", "userId": "ann", "traits": {"plan": "pro", "updated_at": 5}, **at},
        {"type": "alias", "userId": "ann", "previousId": "a1", **at},
        {"type": "track", "userId": "ann", **at},
    ]
    file.write_text("".join(json.dumps(call) + "\n" for call in calls))

    summary = json.loads(run("import", file, "--format", "segment", "--json").stdout)
    shown = run("import", file, "--format", "segment")

    counts = {name: summary[name] for name in ("users", "merges", "rejected", "skipped", "left_out", "jobs")}
    assert counts == {
        "users": 1,
        "merges": 1,
        "rejected": 0,
        "skipped": {"track": 1},
        "left_out": {"traits.updated_at": 1},
        "jobs": 2,
    }
    assert shown.exit_code == 0
    assert shown.stdout.startswith("sent 1 user and 1 merge in 2 jobs, rejected 0 records, ")
    assert "skipped records that are not about a user: track 1" in shown.stdout
    assert "fields left out, because Rollbook has no place for them: traits.updated_at 1" in shown.stdout
    assert (waiting(broker_url, "bulk"), waiting(broker_url, "default")) == (2, 2)


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ('{"type": "identify", "userId": "ann"}', "looks like a record of Segment; use --format segment"),
        ('{"entries": [{"id": "ann"}]}', "looks like a record of Knock; use --format knock"),
        ('{"name": "Ann"}', "is required"),
    ],
)
def test_import_recognises_files_of_other_products(run: Run, tmp_path: Path, line: str, hint: str) -> None:
    file = tmp_path / "users.jsonl"
    file.write_text(line)

    shown = run("import", file)

    assert shown.exit_code == 1
    assert hint in shown.stderr


def test_a_row_of_a_piped_table_is_one_line(filled: str) -> None:
    command = ("-c", "from rollbook_ops.cli import main; main()", "users", "list", "--where", "plan=pro")
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}

    shown = run_python(*command, env=environment | {"ROLLBOOK_DATABASE_URL": filled})

    (row,) = [line for line in shown.stdout.splitlines() if "ann@example.com" in line]
    assert '{"plan": "pro", "seats": 5}' in row


def test_empty_lists_print_a_line(run: Run) -> None:
    assert run("users", "list", "--where", "plan=none").stdout == "no users\n"
    assert run("jobs", "dead").stdout == "no dead letters\n"
    assert run("jobs", "deferred").stdout == "no deferred jobs\n"


def test_import_of_valid_lines_exits_with_0(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "users.jsonl"
    file.write_text('{"id": "u1"}\n')

    assert run("import", file).exit_code == 0


def test_import_continues_after_the_broker_was_not_available(
    run: Run, broker_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "users.jsonl"
    file.write_text('{"id": "u1"}\n')
    with monkeypatch.context() as away:
        away.setenv("ROLLBOOK_BROKER_URL", "redis://127.0.0.1:1/0")
        broken = run("import", file)

    done = run("import", file)

    assert broken.exit_code == 1
    assert "run the same command again to continue" in broken.stderr
    assert done.exit_code == 0
    assert "continuing the import" in done.stderr


@pytest.mark.parametrize(
    ("name", "content", "arguments", "message"),
    [
        ("users.txt", '{"id": "u1"}\n', (), "--format"),
        ("users.csv", "name\nAnn\n", (), "no column is named id"),
        ("users.csv", "", ("--format", "xml"), ""),
    ],
)
def test_import_of_an_unreadable_file_is_wrong_usage(
    run: Run, tmp_path: Path, name: str, content: str, arguments: tuple[str, ...], message: str
) -> None:
    file = tmp_path / name
    file.write_text(content)

    rejected = run("import", file, *arguments)

    assert rejected.exit_code == 2
    assert message in rejected.stderr


def test_import_of_a_changed_file_needs_restart(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "users.jsonl"
    file.write_text('{"id": "u1"}\n')
    with monkeypatch.context() as away:
        away.setenv("ROLLBOOK_BROKER_URL", "redis://127.0.0.1:1/0")
        run("import", file)
    file.write_text('{"id": "u2"}\n')

    rejected = run("import", file)

    assert rejected.exit_code == 2
    assert "--restart" in rejected.stderr
    assert run("import", file, "--restart").exit_code == 0


def test_a_missing_url_is_named_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROLLBOOK_DATABASE_URL", raising=False)

    shown = run_python("-c", "from rollbook_ops.cli import main; main()", "users", "get", "ann")

    assert shown.returncode == 2
    assert shown.stderr.startswith("rollbook: ROLLBOOK_DATABASE_URL is not set")
    assert len(shown.stderr.splitlines()) == 1


def test_migrate_prints_the_sql() -> None:
    done = CliRunner().invoke(app, ["migrate", "--print"])

    assert done.exit_code == 0
    assert "CREATE TABLE rollbook.users" in done.stdout


def test_the_command_without_its_extra_names_it_in_one_line() -> None:
    without = "import sys; sys.modules['typer'] = None; from rollbook_ops.cli import main; main()"

    shown = subprocess.run([sys.executable, "-c", without], capture_output=True, text=True, check=False)

    assert shown.returncode == 1
    assert shown.stderr == f"rollbook: the command line needs the extra `cli`: {install_hint('cli')}\n"


def test_exit_codes_distinguish_failures_from_wrong_usage() -> None:
    from rollbook_ops.cli.output import print_exception
    from rollbook_shared.errors import NotConfigured, Unavailable

    errors: list[RollbookError] = [Unavailable("x"), NotConfigured("x")]

    assert [print_exception(error) for error in errors] == [1, 2]


def test_erase_needs_confirmation(run: Run, filled: str) -> None:
    assert run("erase", "visitor").exit_code == 2

    erased = run("erase", "visitor", "--now", "--json")

    assert erased.exit_code == 0, erased.output
    assert json.loads(erased.stdout)["users"] == 1
    assert run("users", "get", "visitor").exit_code == 1


def test_a_merge_may_keep_opt_outs_and_merge_tokens(run: Run, broker_url: str) -> None:
    result = run("users", "merge", "ann", "visitor", "--keep-opt-outs", "--merge-tokens", "--wait", "0")

    assert result.exit_code == 0, result.output
    with connect_to_broker(broker_url) as client:
        (text,), *_ = json.loads(json.loads(client.lrange("default", 0, -1)[0])["body"])
    assert (json.loads(text)["keep_opt_outs"], json.loads(text)["merge_tokens"]) == (True, True)
