"""The log as text: nothing in a record can pass for another record, or control a terminal."""

from __future__ import annotations

import io
import logging

import pytest
from celery.utils.log import ColorFormatter

from rollbook_shared.observability.logs import EscapingFormatter
from rollbook_worker.observability.logs import set_formatter

FORGED = "x\n2026-01-01 00:00:00 CRITICAL all is lost\r\x1b[2J\x9b\x00"


@pytest.fixture(
    params=[logging.Formatter("%(asctime)s %(levelname)s %(message)s"), ColorFormatter("%(message)s", use_color=False)]
)
def log(request: pytest.FixtureRequest) -> tuple[logging.Logger, io.StringIO]:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(EscapingFormatter(request.param))
    logger = logging.getLogger(f"{__name__}.tried")
    logger.propagate = False
    logger.handlers = [handler]
    return logger, written


def test_a_line_is_only_begun_by_a_record(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, written = log

    logger.warning("it says %s", FORGED)

    first, second = written.getvalue().splitlines()
    assert "it says x" in first
    assert second.startswith("    2026-01-01 00:00:00 CRITICAL all is lost")


def test_controls_are_escaped_in_messages_and_in_errors(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, written = log

    try:
        raise ValueError(FORGED)
    except ValueError:
        logger.exception("it failed with %s", FORGED)

    text = written.getvalue()
    assert not set("\r\x1b\x9b\x00") & set(text)
    assert "ValueError: x" in text
    assert [line for line in text.splitlines() if line.startswith("2026-01-01")] == []


def test_the_record_itself_stays_as_it_was(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, _ = log
    seen: list[logging.LogRecord] = []

    class Watching(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(record)

    logger.addHandler(Watching())

    logger.warning("it says %s", FORGED)

    assert (seen[0].msg, seen[0].args) == ("it says %s", (FORGED,))


def test_the_log_of_a_worker_is_escaped_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROLLBOOK_LOG_FORMAT", raising=False)
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(ColorFormatter("%(message)s"))
    logger = logging.getLogger(f"{__name__}.worker")
    logger.handlers = [handler]

    set_formatter(logger)
    once = handler.formatter
    set_formatter(logger)

    assert isinstance(once, EscapingFormatter)
    assert handler.formatter is once
