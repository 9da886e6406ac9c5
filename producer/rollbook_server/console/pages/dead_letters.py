"""Dead letters: by code, one with its body, edited and replayed, dropped, and many at once."""

from __future__ import annotations

import json
from typing import Any, Final

from starlette.responses import Response

from rollbook.errors import InvalidRequest
from rollbook.models import DeadLetter, JobStatus
from rollbook_server.console.call import ConsoleCall, checked_text
from rollbook_server.console.chosen_dead_letters import (
    ChosenDeadLetter,
    ChosenReport,
    drop_chosen,
    parse_chosen,
    replay_chosen,
)
from rollbook_server.console.errors import ConsoleError
from rollbook_server.console.masking import HIDDEN
from rollbook_server.console.pages.jobs import CODES, MAX_CURSOR
from rollbook_server.console.rendering import with_query
from rollbook_server.console.roles import Role
from rollbook_server.console.routes import ConsoleRoute
from rollbook_shared.json_values import parse_object

PAGE_DEAD_LETTERS: Final = 50
MAX_SHOWN_BODY: Final = 200_000
"""Characters of a body that a page shows for editing; a larger one is replayed with the command line."""
CHOSEN: Final = "chosen"
"""The boxes of a list; each is the key and the id of a dead letter."""
WAIT_SECONDS: Final = 10.0
BULK_SECONDS: Final = 20.0


async def dead_letters_page(call: ConsoleCall) -> Response:
    """The codes, and a page of the dead letters of one code or of all."""
    code = call.text("code", 64) or None
    groups = await call.rb.jobs.count_dead_letters()
    page = await call.rb.jobs.list_dead_letters(
        code=code, limit=PAGE_DEAD_LETTERS, after=call.text("after", MAX_CURSOR) or None
    )
    return call.render(
        "dead_letters.html", groups=groups, codes=CODES, page=page, code=code, query={"code": code}, may_act=_may(call)
    )


async def dead_letter_page(call: ConsoleCall) -> Response:
    """One dead letter; with its body for who may see personal data."""
    return _shown(call, await _found(call))


async def replay(call: ConsoleCall) -> Response:
    """Send the job again, as it was or edited; show the job."""
    dead_letter = await _found(call)
    call.audit.target, call.audit.job_id = f"dead letter {dead_letter.key}", dead_letter.id
    edited = call.form.get("body", "").strip() or None
    new_id = call.field("job_id", 128) or None
    try:
        status = await call.rb.jobs.replay(
            dead_letter.id, key=dead_letter.key, job_id=new_id, body=edited, timeout=WAIT_SECONDS
        )
    except InvalidRequest as error:
        if edited is None:
            raise
        return _shown(call, dead_letter, status=400, problem=str(error), edited=edited)
    call.audit.job_id = status.id
    flash, level = _said(status)
    return call.redirect("/jobs/{}", status.id, flash=flash, level=level)


async def drop(call: ConsoleCall) -> Response:
    """Delete a dead letter for good."""
    call.audit.target, call.audit.job_id = f"dead letter {call.path['key']}", call.path["dead_letter_id"]
    if not await call.rb.jobs.drop(call.path["dead_letter_id"], key=call.path["key"]):
        raise ConsoleError(404, "Not found", "The dead letter is gone: it was replayed or dropped.")
    return call.redirect("/dead-letters", flash="The dead letter was dropped.")


async def replay_many(call: ConsoleCall) -> Response:
    """Replay up to a hundred dead letters of a code."""
    code = call.field("code", 64)
    call.audit.target = f"dead letters of the code {code}"
    report = await call.rb.jobs.replay_dead_letters(code, timeout=BULK_SECONDS)
    dead = sum(status.state == "dead" for status in report.finished)
    parts = [
        f"{report.applied} applied",
        *([f"{dead} dead again"] if dead else []),
        *([f"{len(report.unsent)} not replayed, because they would only fail again"] if report.unsent else []),
        *([f"{len(report.unfinished)} not finished yet"] if report.unfinished else []),
        *(["there are more"] if report.after else []),
    ]
    call.audit.target += f": {', '.join(parts)}"
    is_well = not (dead or report.unsent or report.unfinished)
    return call.redirect("/dead-letters", flash=f"Replayed: {', '.join(parts)}.", level="ok" if is_well else "warning")


async def replay_chosen_page(call: ConsoleCall) -> Response:
    """Replay the dead letters that are ticked."""
    chosen = _chosen(call)
    return _report(call, "Replayed", chosen, await replay_chosen(call.rb, chosen, BULK_SECONDS))


async def drop_chosen_page(call: ConsoleCall) -> Response:
    """Delete the dead letters that are ticked."""
    chosen = _chosen(call)
    return _report(call, "Deleted", chosen, await drop_chosen(call.rb, chosen))


def _chosen(call: ConsoleCall) -> list[ChosenDeadLetter]:
    return parse_chosen(checked_text(CHOSEN, value, 400) for value in call.form_lists.get(CHOSEN, ()))


def _report(call: ConsoleCall, done: str, chosen: list[ChosenDeadLetter], report: ChosenReport) -> Response:
    call.audit.target = f"chosen dead letters: {report}: {', '.join(each.id for each in chosen)}"
    if report.error is not None:
        raise report.error
    query = {"code": call.field("code", 64) or None}
    flash, level = f"{done}: {report}.", "ok" if report.is_well else "warning"
    return call.redirect_to(with_query("/dead-letters", query), flash=flash, level=level)


async def drop_many(call: ConsoleCall) -> Response:
    """Delete up to a thousand dead letters of a code."""
    code = call.field("code", 64)
    call.audit.target = f"dead letters of the code {code}"
    dropped = await call.rb.jobs.drop_dead_letters(code)
    call.audit.target += f": {dropped} dropped"
    return call.redirect("/dead-letters", flash=f"{dropped:,} dead letters were dropped.")


async def _found(call: ConsoleCall) -> DeadLetter:
    return await call.rb.jobs.get_dead_letter(call.path["dead_letter_id"], key=call.path["key"])


def _shown(
    call: ConsoleCall, dead_letter: DeadLetter, *, status: int = 200, problem: str = "", edited: str | None = None
) -> Response:
    body = dead_letter.body or ""
    return call.render(
        "dead_letter.html",
        status=status,
        each=dead_letter,
        code=CODES.get(dead_letter.code),
        masked_body=_masked(body),
        body=edited if edited is not None else _pretty(body),
        is_editable=len(body) <= MAX_SHOWN_BODY,
        problem=problem,
        is_edited=edited is not None,
        may_act=_may(call),
    )


def _pretty(body: str) -> str:
    """The body on lines, if it is JSON that stays the same so."""
    found = _parsed(body)
    return body if found is None else json.dumps(found, ensure_ascii=False, indent=2)


def _masked(body: str) -> Any:
    """What a masked page shows: the keys of an object, and nothing of other texts."""
    found = _parsed(body)
    return HIDDEN if found is None else found


def _parsed(body: str) -> dict[str, Any] | None:
    return parse_object(body) if len(body) <= MAX_SHOWN_BODY else None


def _said(status: JobStatus) -> tuple[str, str]:
    match status.state:
        case "applied":
            return "The job was replayed and applied; its dead letter is gone.", "ok"
        case "deferred":
            return "The job was replayed, and takes effect later; its dead letter is gone.", "ok"
        case "dead":
            return "The job was replayed, and is dead again: there is a new dead letter.", "problem"
        case _:
            return f"The job was replayed, and is {status.state}.", "warning"


def _may(call: ConsoleCall) -> bool:
    return call.may(Role.OPERATOR)


_ONE: Final = "/dead-letters/{dead_letter_id}/{key}"
ROUTES: Final = (
    ConsoleRoute(method="GET", path="/dead-letters", page=dead_letters_page, role=Role.READER, menu="Dead letters"),
    ConsoleRoute(
        method="POST",
        path="/dead-letters/replay",
        page=replay_many,
        role=Role.OPERATOR,
        action="dead_letters.replay_many",
    ),
    ConsoleRoute(
        method="POST", path="/dead-letters/drop", page=drop_many, role=Role.OPERATOR, action="dead_letters.drop_many"
    ),
    ConsoleRoute(
        method="POST",
        path="/dead-letters/replay-chosen",
        page=replay_chosen_page,
        role=Role.OPERATOR,
        action="dead_letters.replay_chosen",
    ),
    ConsoleRoute(
        method="POST",
        path="/dead-letters/drop-chosen",
        page=drop_chosen_page,
        role=Role.OPERATOR,
        action="dead_letters.drop_chosen",
    ),
    ConsoleRoute(method="GET", path=_ONE, page=dead_letter_page, role=Role.READER, reveals=True),
    ConsoleRoute(method="POST", path=f"{_ONE}/replay", page=replay, role=Role.OPERATOR, action="dead_letters.replay"),
    ConsoleRoute(method="POST", path=f"{_ONE}/drop", page=drop, role=Role.OPERATOR, action="dead_letters.drop"),
)
