"""Turn the signals that ask a command to end into an exception, so that it stops what it started."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """We are asked to end."""

    def __init__(self, signal_number: int) -> None:
        self.exit_code = 128 + signal_number
        super().__init__(signal.Signals(signal_number).name)


class Stopping:
    """Whether we are asked to end."""

    def __init__(self) -> None:
        self._asked: Stopped | None = None

    def check(self) -> None:
        """Raise `Stopped` if we are.

        What a signal's handler raises is lost where it strikes a destructor or a callback of the garbage collector. So
        whatever waits checks as well.
        """
        if self._asked is not None:
            raise self._asked

    def ask(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        self._asked = Stopped(number)
        raise self._asked


@contextmanager
def stopping_on_signals() -> Iterator[Stopping]:
    """Raise `Stopped` in the main thread at the first Ctrl-C, SIGTERM or SIGHUP; ignore all later ones.

    A wrapper and a terminal may both pass on one Ctrl-C: the second must not cut the stopping short.
    """
    stopping = Stopping()

    # Ignored from the start, as nohup has it: left so.
    before = {each: signal.getsignal(each) for each in _SIGNALS}
    for each, handler in before.items():
        if handler is not signal.SIG_IGN or each is signal.SIGTERM:
            signal.signal(each, stopping.ask)
    try:
        yield stopping
        stopping.check()
    finally:
        for each, handler in before.items():
            signal.signal(each, handler if handler is not None else signal.SIG_DFL)
