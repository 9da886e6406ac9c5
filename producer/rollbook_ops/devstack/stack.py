"""Everything Rollbook needs, running on this machine as one: servers, workers, the maintenance loop and Flower.

`rollbook up` keeps a stack running; `rollbook demo` plays in one. What runs the jobs is never imported here, only
started, so that an application backend does without its dependencies.
"""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from rollbook_ops.devstack import processes
from rollbook_ops.devstack.children import Child, ChildDied, ended, last_lines
from rollbook_ops.devstack.errors import ServerFailed
from rollbook_ops.devstack.folders import own_temporary_folder
from rollbook_ops.devstack.ports import LOOPBACK, free_port, is_free
from rollbook_ops.devstack.servers import Servers
from rollbook_ops.devstack.workers import answering
from rollbook_shared.install_hint import install_hint, require_extra
from rollbook_shared.jobs.routing import BULK_QUEUE, DEFAULT_QUEUE

# Seconds. Importing Celery on a busy machine is the slow part.
_READY_WITHIN: Final = 90.0
# Seconds a worker may take to finish the jobs in its hands.
_STOP_WITHIN: Final = 10.0
_ASK_AGAIN: Final = 0.25
_CHECK_EVERY: Final = 1.0
_FLOWER_PORT: Final = 5555
_FLOWER_TASKS: Final = 10_000
"""How many tasks Flower remembers; its own default of 100,000 takes a quarter of a gigabyte."""
_FLOWER_COLUMNS: Final = "name,args,state,result,runtime,retries,exception,received,worker,uuid"
"""By default Flower shows neither what a job was about nor how it ended, or why it did not; ours say all that without
personal data."""
_WORKERS: Final[Mapping[str, tuple[str, int]]] = {"default": (DEFAULT_QUEUE, 2), "bulk": (BULK_QUEUE, 1)}
"""Queues and threads of each sort of worker.

Few threads: each applies a batch, and Python runs one at a time; 1, 2, 4 and 8 took the same number of jobs a second
within the noise. Two, so that jobs that take long do not stop the others. For more, start more workers, which are
processes.
"""


class LocalStack:
    """Start everything, watch over it, and stop it at the end of the `with`.

    With `data_dir` the data stay for the next run. What is given by URL is used, and is not ours to stop. Nothing
    outlives this process, even if it is killed (Linux only). `flower_url` is None where Flower is not wanted or not
    installed.

    durable: a confirmed commit survives a crash of the machine; try-outs do without.
    report: called with a line when something is started.
    check: called now and then while something is waited for; what it raises ends the waiting.
    """

    def __init__(
        self,
        *,
        data_dir: Path | None = None,
        database_url: str | None = None,
        broker_url: str | None = None,
        workers: int = 1,
        flower: bool = True,
        durable: bool = True,
        report: Callable[[str], None] = lambda line: None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self._data_dir = data_dir
        self._workers = workers
        self._wants_flower = flower
        self._report = report
        self._check = check
        self.servers = Servers(data_dir, database_url=database_url, broker_url=broker_url, durable=durable)
        self._given = {"postgres": bool(database_url), "valkey": bool(broker_url)}
        self._lasting: dict[str, subprocess.Popen[bytes]] = {}
        self._passing: list[subprocess.Popen[bytes]] = []
        self._lock: tuple[int, ...] = ()
        self.flower_url: str | None = None
        self._to_undo = ExitStack()

    @property
    def database_url(self) -> str:
        return self.servers.database_url

    @property
    def broker_url(self) -> str:
        return self.servers.broker_url

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to find this stack."""
        return {"ROLLBOOK_BROKER_URL": self.broker_url, "ROLLBOOK_DATABASE_URL": self.database_url}

    def start(self) -> Self:
        """Start everything and return when the workers answer.

        Raises:
            ServerFailed: something did not start, or ended by itself; all that was started is stopped again.
            NotConfigured: what workers need is not installed.
        """
        require_extra("a worker", "worker", "alembic", "sqlalchemy", "psycopg")
        with ExitStack() as undo:
            self.folder = self._make_folder(undo)
            if own := [name for name, is_given in self._given.items() if not is_given]:
                self._report(f"starting {' and '.join(map(str.capitalize, own))}")
            undo.callback(self.servers.stop)
            self.servers.start()
            undo.callback(self._stop_processes)
            if self._wants_flower:
                self._start_flower()
            self._migrate()
            self._report("starting the workers")
            self._start_workers()
            self._wait_until_ready()
            self._to_undo = undo.pop_all()
        return self

    def stop(self) -> None:
        """Stop everything, the servers last. Idempotent."""
        self._to_undo.close()

    def spawn(self, name: str, args: Sequence[str | Path]) -> tuple[subprocess.Popen[bytes], Path]:
        """Start a process that finds this stack, and may end by itself; at the latest it ends with the stack.

        Returns it, and where its output goes.
        """
        log = self.folder / f"{name}.log"
        process = self._spawn(args, log)
        self._passing.append(process)
        return process, log

    def watch(self, within: float | None = None) -> None:
        """Return after `within` seconds (None: never) if all is well until then.

        Raises:
            ChildDied: a process ended by itself.
        """
        deadline = None if within is None else time.monotonic() + within
        while True:
            self._check()
            left = _CHECK_EVERY if deadline is None else max(0.0, min(_CHECK_EVERY, deadline - time.monotonic()))
            if died := ended(self.children, left):
                raise died
            if deadline is not None and time.monotonic() >= deadline:
                return

    @property
    def children(self) -> list[Child]:
        """Every process that should be running."""
        own = [Child(name, process.pid, self.folder / f"{name}.log") for name, process in self._lasting.items()]
        servers = [
            Child(server.name, server.pid, server.log)
            for name in ("postgres", "valkey")
            if not self._given[name]
            for server in (self.servers.postgres if name == "postgres" else self.servers.valkey,)
        ]
        return [*servers, *own]

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _make_folder(self, undo: ExitStack) -> Path:
        if self._data_dir is None:
            folder = own_temporary_folder()
            undo.callback(folder.release)
            # Handed to the children, so that another run takes the folder for abandoned only once all are gone.
            self._lock = (folder.descriptor,)
            return folder.path
        logs = self._data_dir.absolute() / "logs"
        logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        return logs

    def _migrate(self) -> None:
        self._report("migrating the database")
        migration, log = self.spawn("migrate", [sys.executable, "-m", "rollbook_worker.migrations"])
        while migration.poll() is None:
            self._check()
            ended([Child("migrate", migration.pid, log)], _CHECK_EVERY)
        if status := migration.returncode:
            raise ServerFailed(f"the database could not be migrated (exit code {status}):\n{last_lines(log)}")

    def _start_workers(self) -> None:
        self._names: list[str] = []
        for sort, (queues, threads) in _WORKERS.items():
            for number in range(1, self._workers + 1):
                self._start_worker(f"{sort}-{number}", queues, threads)
        self._keep_running("maintenance", [sys.executable, "-m", "rollbook_worker.maintenance"])

    def _start_worker(self, name: str, queues: str, threads: int) -> None:
        # Our pid in it, so that two stacks on one broker do not answer for each other.
        full_name = f"{name}.{os.getpid()}@{socket.gethostname()}"
        self._names.append(full_name)
        command = [sys.executable, "-m", "celery", "-A", "rollbook_worker.app:app", "worker"]
        pool = ["--pool", "threads", "--concurrency", str(threads), "--queues", queues]
        manners = ["--without-gossip", "--without-mingle", "--loglevel", "INFO"]
        self._keep_running(f"worker-{name}", [*command, *pool, "--hostname", full_name, *manners])

    def _start_flower(self) -> None:
        if importlib.util.find_spec("flower") is None:
            self._report(f"Flower is not installed; starting without it ({install_hint('dashboard')})")
            return
        port = _FLOWER_PORT if is_free(_FLOWER_PORT) else free_port()
        shown = [f"--max-tasks={_FLOWER_TASKS}", f"--tasks-columns={_FLOWER_COLUMNS}"]
        options = [f"--address={LOOPBACK}", f"--port={port}", *shown]
        # The URL holds a password: by the environment, for arguments are seen by everybody on the machine.
        broker = {"CELERY_BROKER_URL": self.broker_url}
        self._keep_running("flower", [sys.executable, "-m", "celery", "flower", *options], broker)
        self.flower_url = f"http://{LOOPBACK}:{port}"

    def _keep_running(
        self, name: str, args: Sequence[str | Path], environment: Mapping[str, str] | None = None
    ) -> None:
        self._lasting[name] = self._spawn(args, self.folder / f"{name}.log", environment)

    def _spawn(
        self, args: Sequence[str | Path], log: Path, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        # An application's own settings for Celery, such as CELERY_BROKER_URL, would override ours.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CELERY_")}
        given = {**inherited, **self.environment, **(environment or {})}
        return processes.spawn(args, log=log, env=given, pass_fds=self._lock)

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _READY_WITHIN
        silent = set(self._names)
        while silent := silent - answering(self.broker_url, silent):
            self._go_on(deadline, f"these workers do not answer: {', '.join(sorted(silent))}", 0)
        while self.flower_url is not None and not _is_healthy(self.flower_url):
            self._go_on(deadline, "Flower does not answer", _ASK_AGAIN)

    def _go_on(self, deadline: float, trouble: str, within: float) -> None:
        self.watch(within)
        if time.monotonic() > deadline:
            raise ServerFailed(f"{trouble}; the logs are in {self.folder}")

    def _stop_processes(self) -> None:
        running = [*self._passing, *self._lasting.values()]
        self._passing.clear()
        self._lasting.clear()
        for process in running:
            processes.ask(process)
        deadline = time.monotonic() + _STOP_WITHIN
        for process in running:
            processes.stop(process, max(0.0, deadline - time.monotonic()))


def _is_healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/healthcheck", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


__all__ = ["ChildDied", "LocalStack"]
