"""The page on traces and logs lists every attribute of spans and every field of lines, and nothing else."""

from __future__ import annotations

import json
import re
import time

import psycopg
import pytest
import redis
from tests.support.documentation import blocks, text_of
from tests.support.memory_store import MemoryStore
from tests.support.tracing.batches import SENT, job, run
from tests.support.tracing.spans import RecordedSpans

from rollbook import Rollbook
from rollbook_server.observability.request_trace import request_span
from rollbook_shared.observability.logs import FIELDS
from rollbook_worker import tasks
from rollbook_worker.observability.tracing import TracedStore, record_contention
from rollbook_worker.store.retry import Contention

PAGE = "docs/how-to/trace.md"
GUIDE = text_of(PAGE)
PICTURE = blocks(PAGE, "text")[0].text


def named(heading: str) -> set[str]:
    """What the first column of a table names."""
    _, _, table = GUIDE.partition(f"| {heading} |")
    rows = re.findall(r"^\| (`[^|]*) \|", table.partition("\n\n")[0], re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def test_the_tables_list_every_attribute_of_spans(
    recorded: RecordedSpans,
    client: redis.Redis,
    rb: Rollbook,
    backend_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with psycopg.connect(backend_url) as own:
        rb.outbox(own).users.identify("ann")
    rb.users.identify("ann")
    traced = TracedStore(MemoryStore(clock=lambda: time.time_ns() // 1_000))
    monkeypatch.setattr(tasks, "store", lambda: traced)
    monkeypatch.setattr(tasks, "is_traced", lambda: True)
    run(job(1), job(1, plan="another"), sent=SENT[:2])
    with recorded.tracer.start_as_current_span("rollbook.apply"):
        record_contention(Contention.CLUSTER)

    of_jobs = recorded.all()
    with request_span("GET", "/v1/users/{user_id}", {}) as request:
        request.record_answer(200)

    spans = recorded.all()
    held = {name for span in spans for name in span.attributes or {}}
    of_events = {name for span in spans for event in span.events for name in event.attributes or {}}
    assert held | of_events == named("attribute")
    assert {span.name for span in of_jobs} == {
        name for name in re.findall(r"(?:create |send )?rollbook\.\w+", PICTURE) if name != "rollbook.kind"
    }


def test_the_table_lists_every_kind_of_contention() -> None:
    (row,) = [line for line in GUIDE.splitlines() if line.startswith("| `rollbook.reason` |")]

    assert [kind.value for kind in Contention if f"`{kind.value}`" not in row] == []


def test_the_table_and_the_example_list_the_fields_of_lines() -> None:
    always = {"timestamp", "level", "logger", "event"}
    (example,) = (block.text for block in blocks(PAGE, "json"))

    assert named("field") == always | set(FIELDS) | {"trace_id", "span_id", "exception"}
    assert json.loads(example).keys() <= named("field")
