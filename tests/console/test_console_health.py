"""The health and the templates in the console: plots without Prometheus, live parts, the doctor, and previews."""

from __future__ import annotations

import asyncio
import html
import math
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode
from xml.etree import ElementTree

import pytest
from tests.support.console.visitors import CONSOLE, Accounts, Visitor
from tests.support.server.running_server import RunningServer, run_server
from tests.support.waits import DEADLINE_SECONDS

from rollbook.models import Measurement
from rollbook_ops.console_tools import console_tools
from rollbook_ops.server_templates import open_renderer
from rollbook_server.console.csrf import csrf_token, reveal_token
from rollbook_server.console.findings import KEPT_SECONDS, Examinations
from rollbook_server.console.plots import plots_of
from rollbook_server.console.roles import Role
from rollbook_server.console.tools import ConsoleTools
from rollbook_server.settings import ServerSettings
from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Identify, UserUpdate
from rollbook_shared.observability.findings import Finding, ok
from rollbook_shared.settings import Settings
from rollbook_worker.store import PostgresStore, ReceivedJob

TEMPLATE = "---\nsubject: Hello {{ recipient.name }}\n---\n<p>{{ data.text }} for {{ recipient.name }}</p>\n"
FRAME = re.compile(r'<iframe [^>]*sandbox src="/console([^"]+)"')


@pytest.fixture(scope="module")
def server(database_url: str, broker_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder: Path = tmp_path_factory.mktemp("templates")
    (folder / "welcome").mkdir()
    (folder / "welcome" / "email.html.liquid").write_text(TEMPLATE)
    settings = Settings(database_url=database_url, broker_url=broker_url, templates=str(folder))
    tools = console_tools(settings, ServerSettings(), CONSOLE, open_renderer(settings))
    with run_server(database_url, broker_url, ServerSettings(), console=CONSOLE, tools=tools) as server:
        yield server


def measure(server: RunningServer) -> None:
    store = server.publisher.store
    assert isinstance(store, PostgresStore)
    store.measurements.take({"workers": 2, "workers.default": 2, "queue_jobs.default": 7, "queue_jobs.bulk": 0})


def measurement(at: datetime, **figures: float) -> Measurement:
    return Measurement(at=at, figures={name.replace("__", "."): value for name, value in figures.items()})


def test_the_health_is_shown_with_plots_and_the_findings_of_the_doctor(server: RunningServer, reader: Visitor) -> None:
    before = reader.get("/health").text
    measure(server)

    page = reader.get("/health", doctor="wait").text

    assert "no measurements yet" in before
    assert page.count('<svg class="plot"') >= 8
    assert '<th scope="row">console</th>' in page, "the doctor knows the settings of the console"
    assert "rollbook worker -Q " in page, "the advice of the doctor, where no worker runs"
    assert "Maintenance has measured nothing" not in page


def test_no_page_waits_for_the_doctor_unless_it_is_asked_to(database_url: str, broker_url: str) -> None:
    is_done = threading.Event()

    def examine() -> list[Finding]:
        assert is_done.wait(DEADLINE_SECONDS)
        return [ok("postgres", "all is well with it")]

    tools = ConsoleTools(examine=examine)
    with (
        run_server(database_url, broker_url, ServerSettings(), console=CONSOLE, tools=tools) as server,
        ThreadPoolExecutor(1) as other,
    ):
        visitor = Accounts(database_url, server.url).visitor("who-waits", Role.READER)
        asked = other.submit(visitor.get, "/health", doctor="wait")
        at_once = visitor.get("/health").text
        is_done.set()
        waited = asked.result(DEADLINE_SECONDS).text
        afterwards = visitor.get("/health").text

    assert "all is well with it" not in at_once
    assert 'data-later="/console/health?doctor=wait"' in at_once
    for page in (waited, afterwards):
        assert "all is well with it" in page
        assert "data-later" not in page


def test_an_old_examination_is_shown_until_there_is_a_new_one() -> None:
    now = [0.0]
    examinations = Examinations(lambda: [ok("postgres", f"looked at {now[0]:.0f}")], lambda: now[0])

    async def look() -> list[tuple[str, bool]]:
        shown = []
        for now[0] in (0, KEPT_SECONDS - 1, KEPT_SECONDS, 2 * KEPT_SECONDS):
            if now[0] < 2 * KEPT_SECONDS:
                await examinations.latest()
            last = examinations.last
            shown.append((last.findings[0].summary if last else "", examinations.is_due))
        return shown

    assert asyncio.run(look()) == [
        ("looked at 0", False),
        ("looked at 0", False),
        ("looked at 60", False),
        ("looked at 60", True),
    ]


def test_figures_are_sent_as_they_are_measured(server: RunningServer, reader: Visitor) -> None:
    measure(server)
    with reader.http.stream("GET", "/console/health/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        sent: list[str] = []
        for line in answer.iter_lines():
            sent.append(line)
            if len(sent) > 5 and not line:
                break

    event = "\n".join(line.removeprefix("data: ") for line in sent if line.startswith("data: "))
    assert "<svg" in event
    assert "Workers" in event


def test_a_stream_ends_when_the_server_stops(database_url: str, broker_url: str) -> None:
    with run_server(database_url, broker_url, ServerSettings(), console=CONSOLE) as server:
        visitor = Accounts(database_url, server.url).visitor("eve", Role.READER)
        with visitor.http.stream("GET", "/console/health/events") as answer:
            lines = answer.iter_lines()
            next(lines)
            server.stop()
            list(lines)  # raises, if the server has to cut it


def test_a_plot_breaks_where_nothing_was_measured_and_is_valid_svg() -> None:
    now = datetime(2026, 11, 30, tzinfo=UTC)
    at = [now - timedelta(seconds=seconds) for seconds in (3_000, 2_990, 1_000, 990)]
    values = [1.0, 2.0, 40.0, math.inf]

    plots = plots_of([measurement(when, jobs_per_second=value) for when, value in zip(at, values, strict=True)], now)

    (plot,) = plots
    lines = [each for each in ElementTree.fromstring(plot.svg).iter() if each.get("class") == "line line-1"]
    (path,) = [line.get("d") or "" for line in lines]
    assert (plot.title, plot.most) == ("Applied jobs", "50.0/s")
    assert path.count("M") == 2
    assert "nan" not in path.lower()
    assert "inf" not in path.lower()


def test_a_plot_of_zeros_lies_at_the_bottom() -> None:
    now = datetime(2026, 11, 30, tzinfo=UTC)

    (plot,) = plots_of([measurement(now, deliveries_due=0.0)], now)

    assert plot.lines[0].now == "0"
    assert plots_of([], now) == []


def test_a_template_is_previewed_for_who_may_see_personal_data(
    server: RunningServer, reader: Visitor, admin: Visitor, operator: Visitor, accounts: Accounts
) -> None:
    job = Identify(id="ann-1", occurred_at=1_000, user=UserUpdate(id="ann", traits={"name": "Ann<b>"}))
    server.publisher.store.apply([ReceivedJob.of(encode(job))], now=time.time_ns() // 1_000)
    query = {"user_id": "ann", "workflow": "welcome", "channel": "email", "data": '{"text": "<i>hi"}'}

    shown, masked = admin.get("/templates", **query).text, reader.get("/templates", **query).text

    assert "Hello Ann&lt;b&gt;" in shown
    assert "&lt;p&gt;&amp;lt;i&amp;gt;hi" in shown
    assert "welcome/email.html.liquid" in masked
    assert "Hello" not in masked
    assert "Ann" not in masked
    assert "<iframe" not in masked
    assert "there is no template" in admin.get("/templates", **{**query, "channel": "push"}).text
    assert "must be a JSON object" in admin.get("/templates", **{**query, "data": "[]"}).text
    assert "not found" in admin.get("/templates", **{**query, "user_id": "no-one"}).text
    address = f"/templates?{urlencode(query)}"
    revealed = operator.post(address, {"reveal_reason": "a template is wrong"}, on=address)
    assert "Hello Ann" in revealed.text
    assert accounts.audit(account="oda", action="reveal")[0].user_ids == ("ann",)
    (frame,) = FRAME.findall(shown)
    rendered = admin.get(html.unescape(frame))
    assert rendered.text == "<p>&lt;i&gt;hi for Ann&lt;b&gt;</p>\n"
    policy = rendered.headers["content-security-policy"].split("; ")
    assert {"sandbox", "default-src 'none'", "form-action 'none'", "frame-ancestors 'self'"} < set(policy)
    assert rendered.headers["x-frame-options"] == "SAMEORIGIN"

    # the frame of a page that was revealed is for that session, and for what was on the page
    of_operator = html.unescape(FRAME.findall(revealed.text)[0])
    another = accounts.visitor("another-operator", Role.OPERATOR)
    assert operator.get(of_operator).text == rendered.text
    for visitor, address in (
        (operator, html.unescape(frame)),
        (operator, of_operator.replace("user_id=ann", "user_id=bo")),
        (another, of_operator),
        (reader, of_operator),
    ):
        assert visitor.get(address).status_code == 403


def test_the_token_of_a_frame_holds_for_two_minutes_at_most() -> None:
    tokens = [reveal_token("session", "oda", "/templates/rendered?user_id=ann", minute) for minute in (1, 2)]
    tokens += [reveal_token("session", "ada", "/templates/rendered?user_id=ann", 1), csrf_token("session", "oda")]

    assert len(set(tokens)) == 4
