"""Merging two users: the preview shows both sides and the result; a merge cannot be undone."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from rollbook import InvalidRequest, MergePreview, User, UserNotFound
from rollbook_server.console.call import ConsoleCall
from rollbook_server.console.errors import ConsoleError
from rollbook_server.console.merge_diff import DiffRow, merge_diff, preferences_diff
from rollbook_server.console.pages.user import finished
from rollbook_server.console.roles import Role
from rollbook_server.console.routes import ConsoleRoute

_MAX_ID: Final = 256


async def merge_page(call: ConsoleCall) -> Response:
    """The form, and once a secondary is named the preview."""
    user_id, secondary_id = call.path["user_id"], call.text("from", _MAX_ID)
    options = {name: call.text(name) == "yes" for name in ("keep_opt_outs", "merge_tokens")}
    preview: MergePreview | None = None
    problem = ""
    if secondary_id:
        try:
            preview = await call.rb.users.merge(
                user_id,
                secondary_id,
                dry_run=True,
                keep_opt_outs=options["keep_opt_outs"],
                merge_tokens=options["merge_tokens"],
            )
        except InvalidRequest as error:
            problem = str(error)
    primary = await _user(call, preview.primary_id if preview else user_id)
    secondary = await _user(call, secondary_id) if preview else None
    if call.is_revealed and secondary_id:
        call.audit.name_users([secondary_id])
    return call.render(
        "merge.html",
        user_id=user_id,
        secondary_id=secondary_id,
        options=options,
        preview=preview,
        primary=primary,
        secondary=secondary,
        rows=merge_diff(primary, secondary, preview) if preview else [],
        preference_rows=await _preference_rows(call, preview) if preview and secondary else [],
        problem=problem,
    )


async def merge_users(call: ConsoleCall) -> Response:
    """Merge the secondary into the user."""
    user_id, secondary_id = call.path["user_id"], call.field("from", _MAX_ID)
    if call.field("confirm") != "yes":
        raise ConsoleError(400, "Not merged", "Confirm that you have looked at the preview.")
    call.audit.name_users(filter(None, [secondary_id]))
    job = await call.rb.users.merge(
        user_id,
        secondary_id,
        keep_opt_outs=call.field("keep_opt_outs") == "yes",
        merge_tokens=call.field("merge_tokens") == "yes",
    )
    call.audit.job_id = job.id
    return call.redirect("/users/{}", user_id, **await finished(job, "The users were merged."))


async def _preference_rows(call: ConsoleCall, preview: MergePreview) -> list[DiffRow]:
    """The settings of both as they are now; a user who was deleted meanwhile has none."""
    primary, secondary = [await _sets(call, user_id) for user_id in (preview.primary_id, preview.secondary_id)]
    return preferences_diff(primary, secondary, preview)


async def _sets(call: ConsoleCall, user_id: str) -> dict[str, dict[str, Any]]:
    try:
        return await call.rb.users.list_preferences(user_id)
    except UserNotFound:
        return {}


async def _user(call: ConsoleCall, user_id: str) -> User | None:
    try:
        return await call.rb.users.get(user_id)
    except UserNotFound:
        return None


ROUTES: Final = (
    ConsoleRoute(method="GET", path="/users/{user_id}/merge", page=merge_page, role=Role.OPERATOR, reveals=True),
    ConsoleRoute(
        method="POST", path="/users/{user_id}/merged", page=merge_users, role=Role.OPERATOR, action="users.merge"
    ),
)
