"""A traced worker: `celery -A tests.support.tracing.traced_app`.

Its SDK writes each span as a line of JSON into the file that TRACED_SPANS names.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

from rollbook_worker.app import app

__all__ = ["app"]


class Lines(SpanExporter):
    """Appends to a file, at once."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        with self._path.open("a") as file:
            file.writelines(json.dumps(json.loads(span.to_json())) + "\n" for span in spans)
        return SpanExportResult.SUCCESS


def export_to(path: Path) -> TracerProvider:
    """Have this process's spans written to the file."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(Lines(path)))
    trace.set_tracer_provider(provider)
    return provider


if path := os.environ.get("TRACED_SPANS"):
    export_to(Path(path))
