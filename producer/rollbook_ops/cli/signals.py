"""Turns the signals that stop a command into an exception, so that the command stops what it has started."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequested(BaseException):
    """A signal asked this process to stop."""

    def __init__(self, signal_number: int) -> None:
        self.exit_code = 128 + signal_number
        super().__init__(signal.Signals(signal_number).name)


class StopSignals:
    """Remembers whether a signal asked this process to stop."""

    def __init__(self) -> None:
        self._request: StopRequested | None = None

    def check(self) -> None:
        """Raise `StopRequested` if a signal has arrived.

        An exception that a signal handler raises is lost if the signal arrives in a destructor or in a callback of the
        garbage collector. So code that waits calls this as well.
        """
        if self._request is not None:
            raise self._request

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal: ignore all later ones, and raise `StopRequested`."""
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        self._request = StopRequested(number)
        raise self._request


@contextmanager
def stop_on_signals() -> Iterator[StopSignals]:
    """Raise `StopRequested` in the main thread at the first Ctrl-C, SIGTERM or SIGHUP; ignore all later ones.

    A wrapper and the terminal may both pass on one Ctrl-C: the second signal must not interrupt the shutdown.
    """
    signals = StopSignals()

    # A signal that was ignored from the start, as under nohup, stays ignored.
    previous = {each: signal.getsignal(each) for each in _SIGNALS}
    for each, handler in previous.items():
        if handler is not signal.SIG_IGN or each is signal.SIGTERM:
            signal.signal(each, signals.handle)
    try:
        yield signals
        signals.check()
    finally:
        for each, handler in previous.items():
            signal.signal(each, handler if handler is not None else signal.SIG_DFL)
