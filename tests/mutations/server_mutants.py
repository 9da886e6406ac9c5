"""Mistakes that a developer could make in the HTTP server; see `mutants.py`."""

from __future__ import annotations

from typing import Final

from tests.mutations.mutants import Defect

SERVER: Final = "producer/rollbook_server"
MARKS: Final = ("tests/server/test_access.py::test_a_user_sees_and_marks_no_message_of_another",)
INLINE: Final = ("tests/server/test_inline_traits.py",)
OBSERVED: Final = ("tests/server/test_observability.py",)
TRACED: Final = ("tests/tracing/test_http_requests.py",)

CONSOLE: Final = f"{SERVER}/console"
FEED_CONTENTS: Final = ("tests/server/test_feed_contents.py",)
FEED_TEMPLATES: Final = ("tests/templates/test_feed_templates.py",)
RENDERED: Final = ("tests/templates/test_rendering.py",)
USER_PAGE: Final = ("tests/console/test_user_page.py",)
JOB_PAGES: Final = ("tests/console/test_console_jobs.py",)
HEALTH_PAGE: Final = ("tests/console/test_console_health.py",)

IN_THE_SERVER: Final[tuple[Defect, ...]] = (
    Defect(
        "console: a token of a user is shown whole",
        f"{CONSOLE}/templates/user.html",
        '(one.token[:6] ~ "…" ~ one.token[-4:] if one.token|length > 14 else one.token)',
        "one.token",
        USER_PAGE,
    ),
    Defect(
        "console: values of a user are not masked",
        f"{CONSOLE}/templates/user_macros.html",
        "one.value|private(kind_of(one)|string, 400)",
        "one.value|value(400)",
        USER_PAGE,
    ),
    Defect(
        "console: the body of a dead letter is not masked",
        f"{CONSOLE}/templates/dead_letter.html",
        "{% if is_edited or shows_personal_data %}",
        "{% if true %}",
        JOB_PAGES,
    ),
    Defect(
        "console: a preview of a template is not masked",
        f"{CONSOLE}/templates/templates.html",
        '<pre>{{ text|private("value", 100000) }}</pre>',
        "<pre>{{ text|value(100000) }}</pre>",
        HEALTH_PAGE,
    ),
    Defect(
        "feed contents: the page of a message shows them unmasked",
        f"{CONSOLE}/templates/user_macros.html",
        '<p>{{ text|private("value", 2000) }}</p>',
        "<p>{{ text|value(2000) }}</p>",
        ("tests/console/test_user_deliveries.py",),
    ),
    Defect(
        "console: a replay that another operator won is a fault of the server",
        f"{CONSOLE}/errors.py",
        'ConsoleError(409, "Another operator was faster", text)',
        'ConsoleError(503, "Not available", text)',
        JOB_PAGES,
    ),
    Defect(
        "console: an action that was not done is done for the audit",
        f"{CONSOLE}/runner.py",
        "Result.DONE if response.status_code < 400 else Result.REJECTED",
        "Result.DONE",
        JOB_PAGES,
    ),
    Defect(
        "console: a plot joins what was not measured",
        f"{CONSOLE}/plots.py",
        "is_new = before is None or each.at - before > _GAP",
        "is_new = before is None",
        HEALTH_PAGE,
    ),
    Defect(
        "console: an event stream outlives the server",
        f"{CONSOLE}/pages/health.py",
        "while not feeds.is_stopped and time.monotonic() < end:",
        "while time.monotonic() < end:",
        HEALTH_PAGE,
    ),
    Defect(
        "console: an operator deletes",
        f"{CONSOLE}/pages/user.py",
        'role=Role.ADMIN, action="users.delete"',
        'role=Role.OPERATOR, action="users.delete"',
        USER_PAGE,
    ),
    Defect(
        "console: a delete needs no id",
        f"{CONSOLE}/pages/user.py",
        'if call.field("confirm") != user_id:',
        "if False:",
        USER_PAGE,
    ),
    Defect(
        "console: a masked account exports without a reason",
        f"{CONSOLE}/pages/user.py",
        "if call.audit.reason is None and not call.shows_personal_data:",
        "if False:",
        USER_PAGE,
    ),
    Defect(
        "console: a merge needs no tick",
        f"{CONSOLE}/pages/merge.py",
        'if call.field("confirm") != "yes":',
        "if False:",
        ("tests/console/test_merge_page.py",),
    ),
    Defect(
        "console: a value that the secondary gives up counts as the same",
        f"{CONSOLE}/merge_diff.py",
        'return "same" if _same(own, other) else "conflict"',
        'return "same"',
        ("tests/console/test_merge_page.py",),
    ),
    Defect(
        "console: a setting that is on stands over one that is off",
        f"{CONSOLE}/preference_matrix.py",
        "Cell(is_on=not stopping,",
        "Cell(is_on=applying[0].value if applying else True,",
        ("tests/console/test_preference_matrix.py",),
    ),
    Defect(
        "console: the picture draws a merge the wrong way",
        f"{CONSOLE}/cluster_picture.py",
        "to_y=ys[event.primary_id or event.user_id],",
        "to_y=ys[event.user_id],",
        ("tests/console/test_cluster_picture.py",),
    ),
    Defect(
        "http server: a browser sees a message of another user",
        f"{SERVER}/api/messages.py",
        "return call.caller.user_id in (None, message.recipient)",
        "return True",
        MARKS,
    ),
    Defect(
        "http server: a browser marks a message of another user",
        f"{SERVER}/api/messages.py",
        "scope = call.caller.user_id or user_id",
        "scope = user_id",
        MARKS,
    ),
    Defect(
        "http server: a browser marks all messages of others beside its own user's",
        f"{SERVER}/api/messages.py",
        "user_ids != [call.caller.user_id]",
        "call.caller.user_id not in user_ids",
        MARKS,
    ),
    Defect(
        "http server: a browser writes traits that are not its own to write",
        f"{SERVER}/api/users.py",
        "_ALL in allowed or name in allowed)",
        "True)",
        ("tests/server/test_access.py::test_a_browser_writes_only_the_traits_that_it_may",),
    ),
    Defect(
        "http server: a browser that may write the user writes its preferences and channel data, too",
        f"{SERVER}/api/users.py",
        "_EXTENDED[name] in call.caller.permissions if",
        "True if",
        (
            "tests/server/test_access.py::test_a_browser_writes_preferences_and_channel_data_with_a_user_only_as_permitted",
        ),
    ),
    Defect(
        "http server: a token is good for every user",
        f"{SERVER}/access/callers.py",
        "if user_id is not None and user_id != self.user_id:",
        "if user_id is None:",
        ("tests/server/test_access.py::test_a_user_reads_itself_with_its_token_and_no_one_else",),
    ),
    Defect(
        "http server: a preference set within traits that is to be merged replaces the stored one",
        f"{SERVER}/api/inline_traits.py",
        'one.get(_STRATEGY) == "merge"]',
        "False]",
        INLINE,
    ),
    Defect(
        "http server: problems within one of many users are not named",
        f"{SERVER}/api/inline_traits.py",
        "    if found:\n",
        "    if False:\n",
        INLINE,
    ),
    Defect(
        "http server: the devices of push data replace its tokens",
        f"{SERVER}/api/push_devices.py",
        ' or "tokens" in data:',
        ":",
        INLINE,
    ),
    Defect(
        "http server: a device without a token is left out",
        f"{SERVER}/api/push_devices.py",
        'problems.append(Problem(f"{path}.devices[{index}].token", "is required"))',
        "pass",
        INLINE,
    ),
    Defect(
        "http server: metrics and the log name the path with its ids",
        f"{SERVER}/app.py",
        "route, recorder = endpoint.name, self._services.recorder",
        'route, recorder = f"{request.method} {request.url.path}", self._services.recorder',
        OBSERVED,
    ),
    Defect(
        "http server: the frames of sockets are logged",
        f"{SERVER}/serve.py",
        "record.levelno >= logging.INFO and ",
        "",
        OBSERVED,
    ),
    Defect(
        "http server: each question for readiness asks Redis and Postgres",
        f"{SERVER}/observability/readiness.py",
        "time.monotonic() - self._asked_at >= KEPT_SECONDS",
        "True",
        OBSERVED,
    ),
    Defect(
        "http server: a process that sends callers away does not count them",
        f"{SERVER}/app.py",
        "            self._services.recorder.record_overload(Limit.REQUESTS)\n",
        "",
        OBSERVED,
    ),
    Defect(
        "http server: a request begins a trace of its own",
        f"{SERVER}/observability/request_trace.py",
        "context=context, kind=SpanKind.SERVER",
        "kind=SpanKind.SERVER",
        TRACED,
    ),
    Defect(
        "http server: without an SDK the caller's trace is lost",
        f"{SERVER}/observability/request_trace.py",
        "token = _trace.set(caller)",
        "token = _trace.set(None)",
        TRACED,
    ),
    Defect(
        "http server: a stop ends the requests that run",
        f"{SERVER}/serve.py",
        "timeout_graceful_shutdown=STOP_SECONDS",
        "timeout_graceful_shutdown=0",
        ("tests/server/test_realtime.py", "-kstops"),
    ),
    Defect(
        "http server: the doctor does not compare registries",
        "producer/rollbook_ops/doctor/http_server.py",
        'answer.get("registry") != registry_fingerprint(registry)',
        "False",
        ("tests/operations/test_doctor_http_server.py", "-kanother"),
    ),
    Defect(
        "feed contents: what left by mail is rendered for who asks",
        f"{SERVER}/feed_contents.py",
        "return channel if channel.is_read and templates.has_template(workflow, channel) else None",
        "return channel if templates.has_template(workflow, channel) else None",
        FEED_CONTENTS,
    ),
    Defect(
        "feed contents: users are read for items without a template",
        f"{SERVER}/feed_contents.py",
        "return channel if channel.is_read and templates.has_template(workflow, channel) else None",
        "return channel if channel.is_read else None",
        FEED_CONTENTS,
    ),
    Defect(
        "feed contents: no actor is read",
        f"{SERVER}/feed_contents.py",
        "for message in messages if message.actor is not None and message.actor.id is not None}",
        "for message in messages if message.actor is None and message.actor}",
        FEED_CONTENTS,
    ),
    Defect(
        "feed contents: text that a user wrote is HTML in the page",
        f"{SERVER}/api/content_blocks.py",
        '"<br>".join(escape(text).split("\\n"))',
        '"<br>".join(text.split("\\n"))',
        FEED_CONTENTS,
    ),
    Defect(
        "feed contents: a changed template is never found",
        f"{SERVER}/feed_contents.py",
        "        if templates.is_stale():\n            await asyncio.to_thread(templates.refresh)\n",
        "",
        (*FEED_CONTENTS, "-kcomes_later"),
    ),
    Defect(
        "feed contents: the event loop looks at the folder",
        "producer/rollbook_ops/feed_templates.py",
        "return self._templates.has_template",
        "return self._renderer.templates.has_template",
        FEED_TEMPLATES,
    ),
    Defect(
        "feed contents: a failure is not counted",
        f"{SERVER}/feed_contents.py",
        "        self._recorder.record_unrendered(rendered.failed)\n",
        "",
        FEED_CONTENTS,
    ),
    Defect(
        "feed contents: a page takes as long as all of its items",
        "producer/rollbook_ops/feed_templates.py",
        "            if left <= 0:\n",
        "            if left <= -1_000:\n",
        FEED_TEMPLATES,
    ),
    Defect(
        "feed contents: each read logs the failure again",
        "producer/rollbook_ops/feed_templates.py",
        "        if now - self._logged.get(reason, -LOG_SECONDS) < LOG_SECONDS:\n            return\n",
        "",
        FEED_TEMPLATES,
    ),
    Defect(
        "feed contents: the error of a template is logged with its text",
        "producer/rollbook_ops/feed_templates.py",
        'self._log(f"rendering failed unexpectedly ({type(error).__name__})")',
        'self._log(f"rendering failed unexpectedly ({error})")',
        FEED_TEMPLATES,
    ),
    Defect(
        "feed contents: data make a message lead to a script",
        "worker/rollbook_delivery/templates/renderer.py",
        """(r"(?:https?://[^\\s/\\\\]|/(?![/\\\\]))\\S*")""",
        """(r"\\S+")""",
        RENDERED,
    ),
    Defect(
        "feed contents: a path leads to another host",
        "worker/rollbook_delivery/templates/renderer.py",
        """|/(?![/\\\\]))""",
        "|/)",
        RENDERED,
    ),
    Defect(
        "feed contents: templates for one locale are not found",
        "worker/rollbook_delivery/templates/template_set.py",
        "frozenset(name for base in self._places for name in _shorter(base))",
        "frozenset(self._places)",
        RENDERED,
    ),
    Defect(
        "two runs of `rollbook up` choose one port",
        "producer/rollbook_ops/devstack/endpoint.py",
        "return port if is_free(port) and reserve(port) else free_port()",
        "return port if is_free(port) else free_port()",
        ("tests/devstack/test_endpoint.py",),
    ),
)
