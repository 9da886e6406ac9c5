"""How the processes that run by themselves log: as text, or as a line of JSON for each record, whoever wrote it.

Lines of JSON say which job, or which batch, they are about, and in which trace. What they say is the same as in text,
and as free of personal data: of what a record carries beside its message only `FIELDS` are shown.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from rollbook_shared.install_hint import missing_extra
from rollbook_shared.observability.tracing import current
from rollbook_shared.settings import LogFormat, Settings

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext

FIELDS: Final = ("job_id", "kind", "outcome", "code", "batch_id", "jobs", "task", "half")
"""What our records say of themselves beside the message, with `extra=`."""

_TEXT: Final = "%(asctime)s %(levelname)s %(message)s"

About = Callable[[logging.LogRecord], Mapping[str, Any]]
"""Tells what a record is about, from what its process has in hand."""


def begin_logging(settings: Settings) -> None:
    """Log to stderr, as the settings say; for a process whose log nobody else sets up.

    Raises:
        NotConfigured: JSON is wanted, and the extra `logs` is not installed.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(json_formatter() if settings.log_format is LogFormat.JSON else logging.Formatter(_TEXT))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def json_formatter(about: About = lambda record: {}) -> logging.Formatter:
    """Makes of each record a line of JSON.

    Raises:
        NotConfigured: the extra `logs` is not installed.
    """
    try:
        from structlog.processors import JSONRenderer, format_exc_info
        from structlog.stdlib import ProcessorFormatter
    except ModuleNotFoundError as error:
        raise missing_extra("the JSON log format", "logs") from error

    def say(logger: object, method: str, event: Any) -> dict[str, Any]:
        record: logging.LogRecord = event["_record"]
        return {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": event.pop("event"),
            **about(record),
            **{name: value for name in FIELDS if (value := getattr(record, name, None)) is not None},
            **(trace_ids(span) if (span := current()) else {}),
            **event,
        }

    return ProcessorFormatter(
        processors=[say, ProcessorFormatter.remove_processors_meta, format_exc_info, JSONRenderer()]
    )


def trace_ids(context: SpanContext) -> dict[str, str]:
    """The ids of a span, as logs and W3C write them."""
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}
