"""Dead letters: count, list, read, replay and drop them, one or many of a code.

Bodies are personal data, and the role `rollbook_server` may not read them: the server's login needs `rollbook_console`
for all but counts and lists.
"""

from __future__ import annotations

from typing import Any, Final, NotRequired

from typing_extensions import TypedDict

from rollbook_server.api.jobs import JobBody
from rollbook_server.api.paging import LIST_PARAMETERS, list_limit
from rollbook_server.call import Call
from rollbook_server.http.answers import NO_CONTENT, Answer
from rollbook_server.http.errors import invalid, not_found
from rollbook_server.http.times import parse_time
from rollbook_server.routes import ApiRoute, Parameter
from rollbook_shared.errors import Problem

MAX_WAIT_SECONDS: Final = 20
"""How long an answer may wait for the workers: less than a request may take."""


class DeadLetterBody(TypedDict):
    """A job that cannot be applied as it stands. Lists leave `body` empty; `key` distinguishes those of one id."""

    id: str
    key: str
    kind: str | None
    code: str
    reason: str
    failed_at: str
    trace_id: str | None
    body: str | None


class DeadLetterPage(TypedDict):
    """A page of dead letters; `after` leads to the next one."""

    items: list[DeadLetterBody]
    after: str | None


class DeadLetterCountBody(TypedDict):
    """The dead letters of one code. `is_exact` is false if there are more than 10,000."""

    code: str
    count: int
    is_exact: bool
    oldest: str
    newest: str


class DeadLetterCounts(TypedDict):
    """The codes, that of the newest dead letter first."""

    items: list[DeadLetterCountBody]


class ReplayRequest(TypedDict):
    """How to send the job again: under another id, with a corrected body (the job as JSON), or as it arrived. `key`
    says which dead letter, if several have the id; the answer waits `timeout` seconds for the workers.
    """

    job_id: NotRequired[str | None]
    body: NotRequired[dict[str, Any] | str | None]
    key: NotRequired[str | None]
    timeout: NotRequired[float]


class BulkReplayRequest(TypedDict):
    """Which dead letters to replay: up to `limit` of a `code`, the oldest first, from `after` on."""

    code: str
    limit: NotRequired[int]
    after: NotRequired[str | None]
    timeout: NotRequired[float]


class UnsentReplayBody(TypedDict):
    """A dead letter that was left as it was, and why."""

    id: str
    key: str
    reason: str


class BulkReplayAnswer(TypedDict):
    """What became of each job; the dead letters of finished jobs are dropped."""

    finished: list[JobBody]
    unsent: list[UnsentReplayBody]
    unfinished: list[str]
    after: str | None


class BulkDropRequest(TypedDict):
    """Which dead letters to drop: up to `limit` of a `code`, the oldest first, that failed up to `until`."""

    code: str
    limit: NotRequired[int]
    until: NotRequired[str | None]


class BulkDropAnswer(TypedDict):
    """How many were dropped."""

    dropped: int


async def count(call: Call) -> Answer:
    """Count the dead letters of each code."""
    counts = await call.services.client.jobs.count_dead_letters()
    return Answer(body={"items": [each.as_dict() for each in counts]})


async def list_dead_letters(call: Call) -> Answer:
    """List dead letters without their bodies, the newest first."""
    page = await call.services.client.jobs.list_dead_letters(
        code=call.query.text("code"),
        limit=list_limit(call),
        after=call.query.text("after"),
    )
    return Answer(body={"items": [each.as_dict() for each in page.items], "after": page.after})


async def get(call: Call) -> Answer:
    """Read a dead letter with its body, which may hold personal data."""
    jobs = call.services.client.jobs
    return Answer(body=(await jobs.get_dead_letter(call.path["dead_letter_id"], key=call.query.text("key"))).as_dict())


async def replay(call: Call) -> Answer:
    """Send the job of a dead letter again, and drop the dead letter when the job is finished.

    Of two replays at the same time one gets the dead letter, and the other is answered with 409. A new body is checked
    as a new job is.
    """
    status = await call.services.client.jobs.replay(
        call.path["dead_letter_id"],
        job_id=call.body.get("job_id"),
        body=call.body.get("body"),
        key=call.body.get("key"),
        timeout=_timeout(call, 5.0),
    )
    return Answer(body=status.as_dict())


async def drop(call: Call) -> Answer:
    """Delete a dead letter for good."""
    if not await call.services.client.jobs.drop(call.path["dead_letter_id"], key=call.query.text("key")):
        raise not_found("no dead letter has this id")
    return NO_CONTENT


async def replay_many(call: Call) -> Answer:
    """Replay dead letters of one code, the oldest first.

    Those that another replay has are left out. `after` of the answer goes on with the next ones.
    """
    options = {name: call.body[name] for name in ("limit", "after") if name in call.body}
    report = await call.services.client.jobs.replay_dead_letters(
        call.body["code"], timeout=_timeout(call, 10.0), **options
    )
    return Answer(body=report.as_dict())


async def drop_many(call: Call) -> Answer:
    """Delete dead letters of one code for good, the oldest first; not those that a replay has."""
    options = {"limit": call.body["limit"]} if "limit" in call.body else {}
    until = parse_time("until", call.body.get("until"))
    dropped = await call.services.client.jobs.drop_dead_letters(call.body["code"], until=until, **options)
    return Answer(body={"dropped": dropped})


def _timeout(call: Call, default: float) -> float:
    timeout: float = call.body.get("timeout", default)
    if not 0 <= timeout <= MAX_WAIT_SECONDS:
        raise invalid([Problem("timeout", f"must be a number of seconds from 0 to {MAX_WAIT_SECONDS}")])
    return timeout


_TEXT: Final = {"type": "string"}
_KEY: Final = (Parameter("key", "Which one, if several dead letters have the id.", _TEXT),)
_PATH: Final = "/v1/dead_letters"
_TAG: Final = "Dead letters"
ENDPOINTS: Final = (
    ApiRoute(method="GET", path=f"{_PATH}/counts", handler=count, answer=DeadLetterCounts, tag=_TAG),
    ApiRoute(
        method="POST",
        path=f"{_PATH}/replay",
        handler=replay_many,
        body=BulkReplayRequest,
        answer=BulkReplayAnswer,
        tag=_TAG,
    ),
    ApiRoute(
        method="POST", path=f"{_PATH}/drop", handler=drop_many, body=BulkDropRequest, answer=BulkDropAnswer, tag=_TAG
    ),
    ApiRoute(
        method="GET",
        path=_PATH,
        handler=list_dead_letters,
        answer=DeadLetterPage,
        query=(
            Parameter("code", "Only those with this code.", _TEXT),
            *LIST_PARAMETERS,
        ),
        tag=_TAG,
    ),
    ApiRoute(
        method="GET", path=f"{_PATH}/{{dead_letter_id}}", handler=get, answer=DeadLetterBody, query=_KEY, tag=_TAG
    ),
    ApiRoute(method="DELETE", path=f"{_PATH}/{{dead_letter_id}}", handler=drop, query=_KEY, tag=_TAG),
    ApiRoute(
        method="POST",
        path=f"{_PATH}/{{dead_letter_id}}/replay",
        handler=replay,
        body=ReplayRequest,
        answer=JobBody,
        tag=_TAG,
    ),
)
