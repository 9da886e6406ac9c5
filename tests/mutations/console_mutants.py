"""Mistakes that a developer could make in the console; see `mutants.py`."""

from __future__ import annotations

from typing import Final

from tests.mutations.mutants import Defect

CONSOLE: Final = "producer/rollbook_server/console"
ACCESS: Final = ("tests/console/test_console_access.py",)
LOGIN: Final = ("tests/console/test_console_login.py",)
USERS: Final = ("tests/console/test_console_users.py",)
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
)
