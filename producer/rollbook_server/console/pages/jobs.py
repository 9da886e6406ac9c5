"""Jobs: the recent ones, and one with its outcome for each item and its trace."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, get_args

from starlette.responses import Response

from rollbook.queries.job_list import ListedState
from rollbook_server.console.call import ConsoleCall
from rollbook_server.console.errors import ConsoleError
from rollbook_server.console.job_messages import MOST_MESSAGES, find_messages_of_job
from rollbook_server.console.roles import Role
from rollbook_server.console.routes import ConsoleRoute
from rollbook_shared.job_states import DeadLetterCode
from rollbook_shared.jobs.models import MODELS

PAGE_JOBS: Final = 50
MAX_CURSOR: Final = 1_000
STATES: Final = get_args(ListedState)
CODES: Final = {str(code): code for code in DeadLetterCode}


async def jobs_page(call: ConsoleCall) -> Response:
    """A page of the jobs that workers have received, the newest first."""
    state, kind = _choice(call, "state", STATES), _choice(call, "kind", tuple(sorted(MODELS)))
    which: dict[str, Any] = {"state": state, "kind": kind, "user_id": call.text("user_id", 256) or None}
    since, until = time_of(call, "since"), time_of(call, "until")
    page = await call.rb.jobs.list(
        **which, since=since, until=until, limit=PAGE_JOBS, after=call.text("after", MAX_CURSOR) or None
    )
    query = {**which, "since": call.text("since"), "until": call.text("until")}
    return call.render("jobs.html", page=page, query=query, states=STATES, kinds=sorted(MODELS))


async def job_page(call: ConsoleCall) -> Response:
    """One job."""
    job_id = call.path["job_id"]
    job = await call.rb.jobs.get(job_id)
    messages = await call.console.run(find_messages_of_job(job_id)) if job.kind == "trigger" else ()
    code = CODES.get(job.code or "")
    return call.render(
        "job.html",
        job=job,
        code=code,
        messages=messages[:MOST_MESSAGES],
        has_more_messages=len(messages) > MOST_MESSAGES,
    )


def time_of(call: ConsoleCall, name: str) -> datetime | None:
    """A time of the query string, in UTC if it says no zone; None if it is empty.

    Raises:
        ConsoleError: 400, it is no time.
    """
    text = call.text(name, 40)
    if not text:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ConsoleError(400, "Not valid", f"{name} must be a time such as 2026-01-31 09:30") from None
    return time if time.utcoffset() is not None else time.replace(tzinfo=UTC)


def _choice(call: ConsoleCall, name: str, choices: tuple[str, ...]) -> str | None:
    text = call.text(name, 40)
    if text and text not in choices:
        raise ConsoleError(400, "Not valid", f"There is no such {name}.")
    return text or None


ROUTES: Final = (
    ConsoleRoute(method="GET", path="/jobs", page=jobs_page, role=Role.READER, menu="Jobs"),
    ConsoleRoute(method="GET", path="/jobs/{job_id}", page=job_page, role=Role.READER),
)
