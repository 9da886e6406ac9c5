"""The health: plots of the last hour, workers, what is late, and the findings of the doctor with their advice."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from starlette.responses import Response, StreamingResponse

from rollbook.errors import RollbookError
from rollbook_server.console.call import ConsoleCall
from rollbook_server.console.errors import ConsoleError
from rollbook_server.console.headers import NOT_KEPT, SECURITY_HEADERS
from rollbook_server.console.plots import plots_of
from rollbook_server.console.roles import Role
from rollbook_server.console.routes import ConsoleRoute
from rollbook_server.feed_watch import ListenerKind
from rollbook_server.http.answers import EVENT_STREAM
from rollbook_server.observability.recorder import Limit
from rollbook_shared.figures import EVERY_SECONDS

OLD: Final = timedelta(seconds=6 * EVERY_SECONDS)
"""Maintenance does not run, if the last measurement is older."""
STREAM_SECONDS: Final = 300.0
"""A stream ends after so long, and the browser begins another: so it ends soon after its session."""
_RETRY_SECONDS: Final = (2.0, 5.0)
_LOOK_SECONDS: Final = 0.5
"""How soon a stream sees that the server stops."""
_LEVELS: Final = {"problem": 0, "warning": 1, "ok": 2}


async def health_page(call: ConsoleCall) -> Response:
    """Everything. With `doctor=wait` it waits for the doctor; otherwise it shows what the doctor found last, and the
    script asks for more.
    """
    values = await _figures(call)
    examinations = call.console.examinations
    examination = await examinations.latest() if call.text("doctor") == "wait" else examinations.last
    findings = sorted(examination.findings, key=lambda finding: _LEVELS[finding.level]) if examination else []
    return call.render(
        "health.html",
        **values,
        examination=examination,
        findings=findings,
        has_doctor=examinations.has_doctor,
        is_due=examinations.has_doctor and examinations.is_due,
        links=[
            (name, url)
            for name, url in (
                ("Flower", call.console.settings.flower_url),
                ("Grafana", call.console.settings.grafana_url),
            )
            if url
        ],
    )


async def health_events(call: ConsoleCall) -> Response:
    """The figures and the plots, as they are measured, as server-sent events."""
    services = call.console.services
    if services.feeds.connections >= services.settings.max_listeners:
        services.recorder.record_overload(Limit.LISTENERS)
        raise ConsoleError(503, "Too many listeners", "The server has as many listeners as it may.")
    return StreamingResponse(
        _events(call), media_type=EVENT_STREAM, headers={**SECURITY_HEADERS, **NOT_KEPT, "x-accel-buffering": "no"}
    )


async def _events(call: ConsoleCall) -> AsyncIterator[bytes]:
    feeds = call.console.services.feeds
    end = time.monotonic() + STREAM_SECONDS
    with feeds.connected(ListenerKind.STREAM):
        yield b"retry: %d\n\n" % (random.uniform(*_RETRY_SECONDS) * 1_000)
        shown: datetime | None = None
        while not feeds.is_stopped and time.monotonic() < end:
            try:
                values = await _figures(call)
            except RollbookError:
                return  # the browser begins another stream
            newest = values["measured_at"]
            if newest != shown:
                html = call.fragment("health_figures.html", **values)
                yield b"".join(b"data: %s\n" % line.encode() for line in html.splitlines()) + b"\n"
                shown = newest
            else:
                yield b": the same\n\n"
            await _pause(call, EVERY_SECONDS / 2)


async def _pause(call: ConsoleCall, seconds: float) -> None:
    until = time.monotonic() + seconds
    while not call.console.services.feeds.is_stopped and (left := until - time.monotonic()) > 0:
        await asyncio.sleep(min(left, _LOOK_SECONDS))


async def _figures(call: ConsoleCall) -> dict[str, Any]:
    measurements = await call.rb.measurements.list()
    now = datetime.now(UTC)
    newest = measurements[-1] if measurements else None
    return {
        "plots": plots_of(measurements, newest.at if newest else now),
        "figures": newest.figures if newest else {},
        "measured_at": newest.at if newest else None,
        "is_old": newest is None or now - newest.at > OLD,
    }


ROUTES: Final = (
    ConsoleRoute(method="GET", path="/health", page=health_page, role=Role.READER, menu="Health"),
    ConsoleRoute(method="GET", path="/health/events", page=health_events, role=Role.READER),
)
