"""The findings of the doctor, for the page of the health: at most one examination a minute, however many look.

An examination takes a second or two, so a page does not wait for it: it shows the last one, and asks for the next.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from rollbook.errors import RollbookError
from rollbook_shared.observability.findings import Finding

KEPT_SECONDS: Final = 60.0
"""An examination asks both servers many questions."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Examination:
    """What the doctor found."""

    findings: tuple[Finding, ...]
    at: datetime
    problem: str = ""
    """Why there was no examination."""


class Examinations:
    """Examines when it is asked, and keeps what was found for a while."""

    def __init__(
        self, examine: Callable[[], Sequence[Finding]] | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._examine = examine
        self._clock = clock
        self._running: asyncio.Task[Examination] | None = None
        self._last: Examination | None = None
        self._until = 0.0

    @property
    def has_doctor(self) -> bool:
        """Whether this server has one."""
        return self._examine is not None

    @property
    def is_due(self) -> bool:
        """Whether the last examination is too old, or there was none."""
        return self._last is None or self._clock() >= self._until

    @property
    def last(self) -> Examination | None:
        """What the doctor found last, however long ago; None: nothing yet."""
        return self._last

    async def latest(self) -> Examination | None:
        """What the doctor found in the last minute; None: this server has no doctor."""
        if self._examine is None:
            return None
        if self._last is not None and not self.is_due:
            return self._last
        if self._running is None or self._running.done():
            self._running = asyncio.get_running_loop().create_task(self._run(self._examine))
        return await asyncio.shield(self._running)  # a page that is cancelled takes it from no other

    async def _run(self, examine: Callable[[], Sequence[Finding]]) -> Examination:
        problem = ""
        findings: tuple[Finding, ...] = ()
        try:
            findings = tuple(await asyncio.to_thread(examine))
        except RollbookError as error:
            problem = str(error)
        self._last = Examination(findings=findings, at=datetime.now(UTC), problem=problem)
        self._until = self._clock() + KEPT_SECONDS
        return self._last
