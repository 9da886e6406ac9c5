"""The log of workers, maintenance and relays: text, or one JSON object per line for each record, of libraries too.

Text in a record may come from a message or a server, so both formats escape control characters.

JSON lines also name the job or the batch that they are about, and the trace. Apart from that they say what the text
says, and like it hold no personal data: of a record's extra fields only `FIELDS` are shown.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from copy import copy
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from rollbook_shared.install_hint import missing_extra
from rollbook_shared.json_values import printable
from rollbook_shared.observability.tracing import current_span
from rollbook_shared.settings import LogFormat, Settings

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext

FIELDS: Final = ("job_id", "kind", "outcome", "code", "batch_id", "jobs", "task", "step")
"""The extra fields that our records have, given by `extra=`."""

_TEXT: Final = "%(asctime)s %(levelname)s %(message)s"

RecordContext = Callable[[logging.LogRecord], Mapping[str, Any]]
"""Returns the fields that say what a record is about: the job that its process is working on."""


def configure_logging(settings: Settings) -> None:
    """Log to stderr as the settings say. For processes without Celery, which configures the log of workers.

    Raises:
        NotConfigured: JSON is configured, and the extra `logs` is not installed.
    """
    handler = logging.StreamHandler()
    plain = EscapingFormatter(logging.Formatter(_TEXT))
    handler.setFormatter(json_formatter() if settings.log_format is LogFormat.JSON else plain)
    logging.basicConfig(level=logging.INFO, handlers=[handler])


class EscapingFormatter(logging.Formatter):
    """Formats a record as another formatter does, so that no text in it can pass for another record, or control a
    terminal: control characters are escaped, and each line after the first is indented.
    """

    def __init__(self, formatter: logging.Formatter) -> None:
        """Escape what `formatter` would format."""
        super().__init__()
        self._formatter = formatter

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        text = record.getMessage()
        if not record.exc_info and text.isprintable():
            return self._formatter.format(record)
        escaped = copy(record)
        escaped.msg, escaped.args = _escape_lines(text), None
        if record.exc_info:
            escaped.exc_text = _escape_lines(self._formatter.formatException(record.exc_info))
        return self._formatter.format(escaped)


def _escape_lines(text: str) -> str:
    return "\n    ".join(map(printable, text.split("\n")))


def json_formatter(context: RecordContext = lambda record: {}) -> logging.Formatter:
    """A formatter that writes each record as one line of JSON.

    Raises:
        NotConfigured: the extra `logs` is not installed.
    """
    try:
        from structlog.processors import JSONRenderer, format_exc_info
        from structlog.stdlib import ProcessorFormatter
    except ModuleNotFoundError as error:
        raise missing_extra("the JSON log format", "logs") from error

    def add_fields(logger: object, method: str, event: Any) -> dict[str, Any]:
        record: logging.LogRecord = event["_record"]
        return {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": event.pop("event"),
            **context(record),
            **{name: value for name in FIELDS if (value := getattr(record, name, None)) is not None},
            **(trace_ids(span) if (span := current_span()) else {}),
            **event,
        }

    return ProcessorFormatter(
        processors=[add_fields, ProcessorFormatter.remove_processors_meta, format_exc_info, JSONRenderer()]
    )


def trace_ids(context: SpanContext) -> dict[str, str]:
    """The ids of a span, as logs and W3C write them."""
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}
