"""The process that sends through Apprise, for `senders.apprise`: `python -m rollbook_delivery.senders.apprise_process`.

It gets one JSON object a line on stdin, and answers each with one on stdout. Apprise has no way to end a call that
hangs, so this process is ended in its place. Nothing that Apprise logs leaves it: its log quotes URLs.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from typing import Any, Final

GRACE_SECONDS: Final = 5
"""After the time of a message this process ends itself, if the process that started it is gone and cannot."""


def main() -> int:
    """Answer until stdin ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    logging.disable()
    for line in sys.stdin:
        request = json.loads(line)
        signal.alarm(int(request["timeout"]) + GRACE_SECONDS)
        answer = _check(request) if request["check"] else _send(request)
        signal.alarm(0)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    return 0


def _check(request: dict[str, Any]) -> dict[str, Any]:
    """Whether the URL is one of Apprise's."""
    return {"ok": _service(request["url"]) is not None}


def _send(request: dict[str, Any]) -> dict[str, Any]:
    """Send to one URL, with an object of its own: Apprise pauses for seconds between two calls of one object."""
    from apprise import Apprise, OverflowMode

    service = _service(request["url"])
    if service is None:
        return {"ok": False, "invalid": True}
    if service.overflow_mode == OverflowMode.UPSTREAM:  # nothing in the URL says what else to do
        service.overflow_mode = OverflowMode.TRUNCATE
    caller = Apprise()
    caller.add(service)
    sent = caller.notify(body=request["body"], title=request["title"], body_format=request["format"])
    return {"ok": bool(sent)}


def _service(url: str) -> Any:
    from apprise import Apprise

    try:
        return Apprise.instantiate(url)
    except Exception:  # whatever a plugin of Apprise raises
        return None


if __name__ == "__main__":
    sys.exit(main())
