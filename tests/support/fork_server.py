"""The program of `python_processes`: forks Python processes that need not import what all of them use.

It is given a socket as its only argument. Each request on it starts a process; what is sent back is its number, and
later its status. It ends with the other side of the socket, and the processes with it.
"""

from __future__ import annotations

import atexit
import ctypes
import faulthandler
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import threading
import types
import warnings
from contextlib import suppress
from typing import Any, Final, NoReturn

LARGEST_REQUEST: Final = 1 << 20
STACKS_SIGNAL: Final = signal.SIGUSR2
"""A process that gets it writes to its log where each of its threads is."""
_PR_SET_PDEATHSIG: Final = 1
_PRELOADED: Final = (
    "aiosmtplib",
    "alembic.command",
    "babel.dates",
    "babel.numbers",
    "celery.app.control",
    "celery.apps.worker",
    "celery.bin.celery",
    "celery.concurrency.prefork",
    "celery.concurrency.solo",
    "celery.concurrency.thread",
    "celery.events.state",
    "celery.fixups.django",
    "celery.worker.consumer",
    "celery.worker.strategy",
    "dateutil.parser",
    "httpcore",
    "importlib.resources.readers",
    "kombu.matcher",
    "kombu.pidbox",
    "kombu.transport.redis",
    "liquid",
    "opentelemetry.propagate",
    "opentelemetry.sdk.trace.export",
    "orjson",
    "prometheus_client.exposition",
    "psutil",
    "psycopg.types.json",
    "pydantic.dataclasses",
    "pydantic.networks",
    "pydantic.root_model",
    "redis.sentinel",
    "rich.console",
    "rich.table",
    "rollbook_shared.jobs.models",
    "sqlalchemy.dialects.postgresql.psycopg",
    "standardwebhooks",
    "typer.main",
)
"""Of ours only the models of jobs, whose import takes as long as that of all others: that the others import what they
need is seen in each process.
"""


def serve(control: socket.socket) -> dict[str, Any]:
    """Fork a process for each request. Returns in the new process, with what it is to do."""
    reader, writer = socket.socketpair()
    reader.setblocking(False)
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    with selectors.DefaultSelector() as events:
        events.register(control, selectors.EVENT_READ)
        events.register(reader, selectors.EVENT_READ)
        while True:
            for key, _ in events.select():
                if key.fileobj is reader:
                    with suppress(BlockingIOError):
                        reader.recv(4096)
                    _report(control)
                    continue
                request, descriptors, _, _ = socket.recv_fds(control, LARGEST_REQUEST, 3)
                if not request:
                    os._exit(0)
                if (pid := os.fork()) == 0:
                    signal.set_wakeup_fd(-1)
                    for own in (control, reader, writer):
                        own.close()
                    return _become(json.loads(request), descriptors)
                for descriptor in descriptors:
                    os.close(descriptor)
                control.send(json.dumps({"started": pid}).encode())


def _report(control: socket.socket) -> None:
    """Say which processes have ended."""
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            control.send(json.dumps({"ended": ended[0], "status": os.waitstatus_to_exitcode(ended[1])}).encode())


def _become(request: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
    """Take on what a process that is started anew is given."""
    parent = os.getppid()
    os.setsid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    faulthandler.register(STACKS_SIGNAL, file=2)
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    if action := request["env"].get("PYTHONWARNINGS"):
        warnings.simplefilter(action)
    more = request["env"].get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:0] = [folder for folder in more if folder and folder not in sys.path]
    return request


def run(arguments: list[str]) -> None:
    """Do what `python` does with these arguments."""
    match arguments:
        case ["-m", name, *rest]:
            sys.argv = [name, *rest]
            sys.path.insert(0, os.getcwd())
            runpy.run_module(name, run_name="__main__", alter_sys=True)
        case ["-c", code, *rest]:
            sys.argv = ["-c", *rest]
            sys.path.insert(0, "")
            main = types.ModuleType("__main__")
            sys.modules["__main__"] = main
            exec(compile(code, "<string>", "exec"), main.__dict__)
        case _:
            raise ValueError("only -m and -c are known here")


def exit_(status: int) -> NoReturn:
    """Do what Python does at an exit, but for the end of each module and object.

    That takes most of a short process's time: it writes to all the memory that is shared with the fork server, which
    the kernel then copies.
    """
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status & 0xFF)


def main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    for name in _PRELOADED:
        importlib.import_module(name)
    assert threading.active_count() == 1, "a process with threads must not fork"
    gc.collect()
    gc.freeze()  # so that the memory stays shared
    request = serve(control)
    try:
        run(request["arguments"])
        exit_(0)
    except SystemExit as end:
        if end.code is not None and not isinstance(end.code, int):
            raise  # Python prints it
        exit_(end.code or 0)


if __name__ == "__main__":
    main()
