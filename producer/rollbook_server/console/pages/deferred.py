"""Deferred jobs: those that take effect later, and cancelling one."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from rollbook_server.console.call import ConsoleCall
from rollbook_server.console.pages.jobs import MAX_CURSOR
from rollbook_server.console.roles import Role
from rollbook_server.console.routes import ConsoleRoute

PAGE_JOBS: Final = 50


async def deferred_page(call: ConsoleCall) -> Response:
    """A page of the deferred jobs, the first due first."""
    page = await call.rb.jobs.list_deferred(limit=PAGE_JOBS, after=call.text("after", MAX_CURSOR) or None)
    return call.render("deferred.html", page=page, may_act=call.may(Role.OPERATOR))


async def cancel(call: ConsoleCall) -> Response:
    """Cancel a deferred job."""
    job_id = call.path["job_id"]
    call.audit.job_id = job_id
    if await call.rb.jobs.cancel(job_id, timeout=0):
        return call.redirect("/jobs/{}", job_id, flash="The job is cancelled, and never takes effect.")
    return call.redirect("/jobs/{}", job_id, flash="It is too late: the job is not deferred any more.", level="warning")


ROUTES: Final = (
    ConsoleRoute(method="GET", path="/deferred", page=deferred_page, role=Role.READER, menu="Deferred"),
    ConsoleRoute(
        method="POST", path="/deferred/{job_id}/cancel", page=cancel, role=Role.OPERATOR, action="jobs.cancel"
    ),
)
