"""Mistakes that a developer could make in the console; see `mutants.py`."""

from __future__ import annotations

from typing import Final

from tests.mutations.mutants import Defect

CONSOLE: Final = "producer/rollbook_server/console"
ACCESS: Final = ("tests/console/test_console_access.py",)
LOGIN: Final = ("tests/console/test_console_login.py",)
USERS: Final = ("tests/console/test_console_users.py",)
HEALTH: Final = ("tests/console/test_console_health.py",)
OPERATIONS_IN_BROWSER: Final = ("tests/console/test_operations_pages_in_browser.py", "-khtml")
CHOSEN: Final = ("tests/console/test_console_jobs.py", "-kchosen")
MERGE: Final = ("tests/console/test_merge_page.py",)
ERASED: Final = ("tests/store/test_console_audit.py",)

IN_THE_CONSOLE: Final[tuple[Defect, ...]] = (
    Defect(
        "console: a page is shown to every role",
        f"{CONSOLE}/runner.py",
        "if not call.may(route.role):",
        "if False:",
        ACCESS,
    ),
    Defect(
        "console: an action is done for every role",
        f"{CONSOLE}/runner.py",
        "if not call.may(needed):",
        "if False:",
        ACCESS,
    ),
    Defect(
        "console: a reader sees masked data with a reason",
        f"{CONSOLE}/runner.py",
        "needed = Role.OPERATOR if is_reveal and route.role is Role.READER else route.role",
        "needed = route.role",
        USERS,
    ),
    Defect(
        "console: masked data is shown without a reason",
        f"{CONSOLE}/runner.py",
        "if not call.audit.reason:",
        "if False:",
        USERS,
    ),
    Defect(
        "console: a form needs no token",
        f"{CONSOLE}/runner.py",
        "if not (is_ours and is_csrf_token(",
        "if not (is_ours or is_csrf_token(",
        ACCESS,
    ),
    Defect(
        "console: a form may come from another origin",
        f"{CONSOLE}/runner.py",
        "is_ours = origin is None or self._console",
        "is_ours = True or self._console",
        ACCESS,
    ),
    Defect(
        "console: a token is good for every session",
        f"{CONSOLE}/csrf.py",
        'return hmac.new(secret.encode("utf-8", "surrogatepass"), message, sha256).hexdigest()',
        'return hmac.new(b"", b"", sha256).hexdigest()',
        ACCESS,
    ),
    Defect(
        "console: what was rejected is not in the audit",
        f"{CONSOLE}/runner.py",
        "await self._console.run(write_audit(account, action, Result.REJECTED, call.audit))",
        "pass",
        ACCESS,
    ),
    Defect(
        "console: a session never ends",
        f"{CONSOLE}/sql/sessions.sql",
        "    AND s.expires_at > now()\n",
        "",
        ACCESS,
    ),
    Defect(
        "console: a session that is not used never ends",
        f"{CONSOLE}/sql/sessions.sql",
        "    AND s.last_seen_at > now() - %(idle)s * interval '1 second'",
        "",
        ACCESS,
    ),
    Defect(
        "console: a link logs in again and again",
        f"{CONSOLE}/sql/sessions.sql",
        "DELETE FROM rollbook.console_login_tokens\n"
        "WHERE token_hash = %(hash)s\n    AND expires_at > now()\nRETURNING account;",
        "SELECT account FROM rollbook.console_login_tokens WHERE token_hash = %(hash)s AND expires_at > now();",
        LOGIN,
    ),
    Defect(
        "console: failed logins are not counted",
        f"{CONSOLE}/login_limits.py",
        "return all(self._count(key) < most for key, most in limits.items())",
        "return True",
        LOGIN,
    ),
    Defect(
        "console: a login leads to another site",
        f"{CONSOLE}/pages/login.py",
        "return address if is_ours and is_plain",
        "return address if address and is_plain",
        LOGIN,
    ),
    Defect(
        "console: masked values are found by their beginning",
        f"{CONSOLE}/pages/users.py",
        "by_prefix=call.shows_personal_data,",
        "by_prefix=True,",
        USERS,
    ),
    Defect(
        "console: masked values are found by filters",
        f"{CONSOLE}/pages/users.py",
        "if filters and not call.shows_personal_data:",
        "if False:",
        USERS,
    ),
    Defect(
        "console: personal data is shown to everyone",
        f"{CONSOLE}/rendering.py",
        '    if context["shows_personal_data"]:\n        return value_tag(value, most)\n',
        "    if True:\n        return value_tag(value, most)\n",
        USERS,
    ),
    Defect(
        "console: every address may connect",
        f"{CONSOLE}/runner.py",
        "if not settings.accepts_peer(request.client and request.client.host):\n            return _plain(404",
        "if False:\n            return _plain(404",
        ACCESS,
    ),
    Defect(
        "console: the audit names erased users",
        "worker/rollbook_worker/store/erasure.py",
        'counts["console_audit"] = erase_from_audit(cursor, erased, delay=delay)',
        "",
        ERASED,
    ),
    Defect(
        "console: the reasons of erased users stay in the audit",
        "worker/rollbook_worker/store/sql/console.sql",
        "        reason = NULL\n",
        "        reason = reason\n",
        ERASED,
    ),
    Defect(
        "console: the doctor does not know the settings of the console",
        "producer/rollbook_ops/console_tools.py",
        "examine(settings, server=server, console=console)",
        "examine(settings, server=server)",
        HEALTH,
    ),
    Defect(
        "console: a page waits for the doctor",
        f"{CONSOLE}/pages/health.py",
        'if call.text("doctor") == "wait" else examinations.last',
        'if call.text("doctor") != "x" else examinations.last',
        HEALTH,
    ),
    Defect(
        "console: the HTML of a message is shown to a masked account",
        f"{CONSOLE}/pages/templates.py",
        "if not call.shows_personal_data and not _is_revealed(call, values):",
        "if False:",
        HEALTH,
    ),
    Defect(
        "console: the token of a frame is good for every user",
        f"{CONSOLE}/pages/templates.py",
        "reveal_token(call.secret, call.account.name, with_query(_RENDERED, values), minute)",
        "reveal_token(call.secret, call.account.name, _RENDERED, minute)",
        HEALTH,
    ),
    Defect(
        "console: the HTML of a message has the policy of no frame",
        f"{CONSOLE}/pages/templates.py",
        "headers={**FRAME_HEADERS, **NOT_KEPT}",
        "headers=NOT_KEPT",
        HEALTH,
    ),
    Defect(
        "console: the HTML of a message loads from other hosts",
        f"{CONSOLE}/headers.py",
        """    "sandbox",\n    "default-src 'none'",\n""",
        """    "sandbox",\n""",
        OPERATIONS_IN_BROWSER,
    ),
    Defect(
        "console: a chosen dead letter of another operator fails the others",
        f"{CONSOLE}/chosen_dead_letters.py",
        '        except ReplayConflict:\n            return "left to another operator"\n',
        "",
        CHOSEN,
    ),
    Defect(
        "console: a chosen job whose id is another's keeps it",
        f"{CONSOLE}/chosen_dead_letters.py",
        "job_id=id_of_its_own(dead_letter)",
        "job_id=None",
        CHOSEN,
    ),
    Defect(
        "console: a setting that a merge gives up counts as kept",
        f"{CONSOLE}/merge_diff.py",
        'effect = "own" if other is _ABSENT else "conflict"',
        'effect = "own"',
        MERGE,
    ),
    Defect(
        "console: the opt-outs of both are not those of the result",
        f"{CONSOLE}/merge_diff.py",
        "{**secondary, **primary, **shared}",
        "{**secondary, **primary}",
        MERGE,
    ),
    Defect(
        "console: a walk along deliveries ends where none was found",
        "producer/rollbook/queries/deliveries.py",
        'next((row for row in rows if row.get("is_stop")), None)',
        "None",
        ("tests/deliveries/test_claims.py", "-klisted or bounded"),
    ),
)
