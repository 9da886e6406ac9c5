"""Make the picture of Flower in the documentation: `python -m tests.dashboard.screenshot`.

It starts all that `rollbook up` starts, tells of some people who do not exist, and photographs the page of tasks.
"""

from __future__ import annotations

import os
import sys
from typing import Final

from tests.support.dashboard.browser import Tasks, browser
from tests.support.dashboard.sample_jobs import PUT_OFF_SECONDS, Hindered, play, send_what_dies
from tests.support.repository import ROOT
from tests.support.waits import wait_until

from rollbook import Rollbook
from rollbook_ops.devstack.stack import LocalStack

PICTURE: Final = ROOT / "docs" / "pictures" / "flower.png"
_SIZE: Final = {"width": 1524, "height": 737}
_HIDDEN: Final = "footer, .page-header, .dt-footer { display: none !important }"


def main() -> int:
    os.environ["ROLLBOOK_LOCK_TIMEOUT_SECONDS"] = str(PUT_OFF_SECONDS)
    with (
        LocalStack(report=print) as stack,
        Rollbook(database_url=stack.database_url, broker_url=stack.broker_url) as rb,
    ):
        play(rb)
        send_what_dies(rb, stack.broker_url)
        with Hindered(stack.database_url):
            rb.users.identify("ann", {"plan": "team", "seats": 12}, job_id="upgrade-1")
            photograph(stack)
    print(f"{PICTURE.stat().st_size / 1024:.0f} kB: {PICTURE}")
    return 0


def photograph(stack: LocalStack) -> None:
    """Wait until the last job is seen to be tried again, and take the picture."""
    assert stack.flower_url
    with browser() as chromium, chromium.new_context(viewport=_SIZE, device_scale_factor=1.2) as context:  # type: ignore[arg-type]
        tasks = Tasks(context.new_page(), stack.flower_url)
        wait_until(lambda: tasks.open().get("upgrade-1", {}).get("STATE") == "RETRY", what="a job that is tried again")
        tasks.page.add_style_tag(content=_HIDDEN)
        PICTURE.parent.mkdir(parents=True, exist_ok=True)
        tasks.page.screenshot(path=PICTURE)


if __name__ == "__main__":
    sys.exit(main())
