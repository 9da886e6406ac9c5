"""Logs as lines of JSON with job and trace: of workers (lines of Celery too), maintenance and the relay."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import psycopg
import pytest
from tests.support.repository import ROOT
from tests.support.tracing.spans import RecordedSpans, WrittenSpans
from tests.support.waits import DEADLINE_SECONDS, wait_until
from tests.support.worker_processes import Workers

from rollbook import Rollbook
from rollbook_shared.errors import NotConfigured
from rollbook_shared.observability.logs import configure_logging, json_formatter
from rollbook_shared.settings import LogFormat, Settings
from rollbook_worker.app import check_settings
from rollbook_worker.observability.logs import set_formatter


def lines(workers: Workers, name: str = "worker") -> list[dict[str, Any]]:
    """All lines that are whole; each must be JSON."""
    return [json.loads(line) for line in workers.log(name).splitlines(keepends=True) if line.endswith("\n")]


def saying(workers: Workers, words: str, name: str = "worker") -> dict[str, Any]:
    """The first line that says this, once there is one."""

    def found() -> list[dict[str, Any]]:
        return [line for line in lines(workers, name) if words in line["event"]]

    wait_until(found, what=f"a line about {words}")
    return found()[0]


@pytest.fixture
def in_json(workers: Workers, written: WrittenSpans) -> dict[str, str]:
    return {
        "TRACED_SPANS": str(written.path),
        "PYTHONPATH": str(ROOT),
        "ROLLBOOK_LOG_FORMAT": "json",
        "ROLLBOOK_LOCK_TIMEOUT_SECONDS": "0.2",
        "PYTHONWARNINGS": "ignore",  # of Celery to root, before there is a log
    }


def test_lines_of_a_worker_have_batch_job_and_trace(
    recorded: RecordedSpans,
    written: WrittenSpans,
    workers: Workers,
    rb: Rollbook,
    database_url: str,
    in_json: dict[str, str],
) -> None:
    workers.spawn(threads=1, app="tests.support.tracing.traced_app", loglevel="DEBUG", **in_json)
    rb.users.identify("ann", {"plan": "pro"}, job_id="good").wait(DEADLINE_SECONDS)
    rb.users.identify("ann", {"plan": "free"}, job_id="good").wait(DEADLINE_SECONDS)
    with psycopg.connect(database_url) as locker:
        locker.execute("LOCK TABLE rollbook.users")
        rb.users.identify("bo", {}, job_id="late")
        held = saying(workers, "retrying")

    assert saying(workers, "ready")["logger"] == "celery.apps.worker"
    dead = saying(workers, "dead (id_reused)")
    assert (dead["level"], dead["logger"]) == ("warning", "rollbook_worker.tasks")
    assert {name: dead[name] for name in ("job_id", "kind", "outcome", "code")} == {
        "job_id": "good",
        "kind": "identify",
        "outcome": "dead",
        "code": "id_reused",
    }
    wait_until(lambda: len(written.of_job("good")) == 2, what="spans")
    context = written.of_job("good")[1]["context"]
    assert (f"0x{dead['trace_id']}", f"0x{dead['span_id']}") == (context["trace_id"], context["span_id"])
    batch = saying(workers, "Task rollbook.batch[")
    assert batch["jobs"] == 1
    spans = {span["attributes"]["rollbook.batch_id"]: span["context"] for span in written.named("rollbook.batch")}
    assert f"0x{batch['trace_id']}" == spans[batch["batch_id"]]["trace_id"]
    assert batch["batch_id"] in batch["event"]
    assert (held["jobs"], held["batch_id"] in spans) == (1, True)
    decided = saying(workers, "[good]: applied")
    assert (decided["job_id"], decided["kind"], decided["outcome"]) == ("good", "identify", "applied")


def test_lines_of_celery_have_the_job_without_batches(
    recorded: RecordedSpans, workers: Workers, rb: Rollbook, in_json: dict[str, str]
) -> None:
    workers.spawn(threads=1, app="tests.support.tracing.traced_app", ROLLBOOK_BATCH_SIZE="1", **in_json)
    rb.users.identify("cy", {}, job_id="single").wait(DEADLINE_SECONDS)

    received, succeeded = saying(workers, "single] received"), saying(workers, "single] succeeded")

    for line in (received, succeeded):
        assert (line["job_id"], line["kind"]) == ("single", "identify")
    (sent,) = recorded.named("send rollbook.identify")
    assert sent.context is not None
    assert succeeded["trace_id"] == f"{sent.context.trace_id:032x}"


def test_maintenance_and_relay_log_as_json(workers: Workers, backend_url: str, in_json: dict[str, str]) -> None:
    workers.start_maintenance(**in_json)
    workers.spawn_python("relay", "-m", "rollbook_ops.relay", ROLLBOOK_OUTBOX_URL=backend_url, **in_json)

    assert saying(workers, "maintenance: started", "maintenance")["level"] == "info"
    assert saying(workers, "relay: started", "relay")["logger"]


def record(message: str, **extra: Any) -> logging.LogRecord:
    made = logging.LogRecord("library", logging.ERROR, __file__, 1, message, (), None)
    made.__dict__.update(extra)
    return made


def test_a_line_starts_with_time_level_and_logger() -> None:
    line = json_formatter().format(record("it is done"))

    assert list(json.loads(line)) == ["timestamp", "level", "logger", "event"]
    assert json.loads(line)["timestamp"].endswith("+00:00")


def test_only_known_fields_of_a_record_are_shown() -> None:
    line = json.loads(json_formatter().format(record("done", job_id="j1", jobs=0, data={"args": "ann"}, email="ann")))

    assert (line["job_id"], line["jobs"]) == ("j1", 0)
    assert "ann" not in str(line)


def test_a_traceback_is_within_its_line() -> None:
    failed = record("failed")
    try:
        raise ValueError("of no use")
    except ValueError:
        failed.exc_info = sys.exc_info()

    line = json_formatter().format(failed)

    assert "\n" not in line
    assert "ValueError: of no use" in json.loads(line)["exception"]


def test_a_line_has_the_active_span(recorded: RecordedSpans) -> None:
    with recorded.tracer.start_as_current_span("task") as span:
        line = json.loads(json_formatter().format(record("done")))

    assert line["trace_id"] == f"{span.get_span_context().trace_id:032x}"
    assert line["span_id"] == f"{span.get_span_context().span_id:016x}"


def test_text_is_the_default_format(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROLLBOOK_LOG_FORMAT", raising=False)
    logger = logging.getLogger("rollbook.tests.text")
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("[%(levelname)s] %(message)s"))
    logger.addHandler(handler)

    set_formatter(logger=logger)

    logger.removeHandler(handler)
    made = logging.LogRecord("rollbook", logging.INFO, __file__, 1, "applied\x1b", (), None)
    assert handler.format(made) == "[INFO] applied\\x1b"


def test_json_logs_without_the_extra_name_it(
    monkeypatch: pytest.MonkeyPatch, database_url: str, broker_url: str
) -> None:
    monkeypatch.setitem(sys.modules, "structlog.stdlib", None)
    monkeypatch.setitem(sys.modules, "structlog.processors", None)

    with pytest.raises(NotConfigured, match=r"\[logs\]"):
        configure_logging(Settings(log_format=LogFormat.JSON))
    for name, value in (("DATABASE_URL", database_url), ("BROKER_URL", broker_url), ("LOG_FORMAT", "json")):
        monkeypatch.setenv(f"ROLLBOOK_{name}", value)
    with pytest.raises(SystemExit, match=r"\[logs\]"):
        check_settings()
