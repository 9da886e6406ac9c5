"""For tests of an application's templates: deliveries without a database, and golden files.

    renderer = Renderer("templates")

    def test_the_welcome():
        content = renderer.render(make_delivery("welcome", "email", recipient={"id": "ann", "name": "Ann"}))
        check_golden(content, "tests/golden/welcome")

`check_golden` writes the files the first time and fails: look at them, commit them, and run the test again. To renew
them, remove them. It works with any test runner.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from rollbook.models import Content, Delivery

MADE_AT: Final = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)
"""When the messages of `make_delivery` are made, unless a test says otherwise: a golden file must not hold today."""


def make_delivery(
    workflow: str,
    channel: str,
    *,
    recipient: Mapping[str, Any],
    data: Mapping[str, Any] | None = None,
    actor: Mapping[str, Any] | None = None,
    type: str | None = None,
    tenant: str | None = None,
    categories: tuple[str, ...] = (),
    occurred_at: datetime = MADE_AT,
) -> Delivery:
    """Make a delivery as a sender would claim it.

    recipient: `id`, attributes such as `name` and `locale`, and `properties`.
    actor: likewise; None: there is none.
    type: the channel's type; by default its key is one, such as `email`.
    """
    return Delivery(
        id="message",
        channel=channel,
        type=channel if type is None else type,
        workflow=workflow,
        tenant=tenant,
        categories=categories,
        data={} if data is None else data,
        occurred_at=occurred_at,
        recipient=recipient,
        actor=actor,
        lease_ends_at=occurred_at + timedelta(seconds=30),
    )


def check_golden(content: Content, path: str | os.PathLike[str]) -> None:
    """Compare a content with the files `path.txt` (headings and text) and `path.html`, as far as it has them.

    Raises:
        AssertionError: it differs; the text shows how. Or a file was not there, and has been written.
    """
    written, differences = [], []
    for suffix, text in ((".txt", _as_text(content)), (".html", content.html)):
        file = Path(f"{os.fspath(path)}{suffix}")
        if text is None:
            if file.exists():
                differences.append(f"{file} is there, and the content has no such part")
        elif not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(text.encode())
            written.append(str(file))
        elif (golden := file.read_bytes().decode()) != text:
            differences.extend(_difference(golden, text, str(file)))
    if written:
        differences.append(f"written: {', '.join(written)}; look at it, commit it, and run the test again")
    if differences:
        raise AssertionError("\n".join(differences))


def _as_text(content: Content) -> str | None:
    headings = [
        f"{name}: {value}"
        for name, value in (
            ("subject", content.subject),
            ("title", content.title),
            ("action_url", content.action_url),
        )
        if value is not None
    ]
    if not headings and content.text is None:
        return None
    return "\n".join((*headings, *(() if content.text is None else ("", content.text)), ""))


def _difference(golden: str, text: str, file: str) -> list[str]:
    lines = difflib.unified_diff(golden.splitlines(), text.splitlines(), file, "rendered", lineterm="")
    return [*lines] or [f"{file} differs in its line ends"]
