"""Everything of Rollbook, run together on this machine: servers, workers, maintenance, Flower, HTTP server, senders.

`rollbook up` keeps a stack running; `rollbook demo` runs in one.
"""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from rollbook_ops.devstack import processes
from rollbook_ops.devstack.console import console_is_installed, console_link
from rollbook_ops.devstack.delivery import (
    delivers,
    delivery_command,
    delivery_environment,
    delivery_is_installed,
)
from rollbook_ops.devstack.earlier_runs import is_of_earlier_run
from rollbook_ops.devstack.endpoint import LOOPBACK
from rollbook_ops.devstack.errors import ServerFailed
from rollbook_ops.devstack.exit_watch import Child, ChildExited, last_lines, wait_for_exit
from rollbook_ops.devstack.flower import PORT as FLOWER_PORT
from rollbook_ops.devstack.flower import (
    flower_command,
    flower_endpoint,
    flower_environment,
    flower_is_healthy,
    flower_url,
)
from rollbook_ops.devstack.folders import own_temporary_folder
from rollbook_ops.devstack.http_server import PORT as HTTP_PORT
from rollbook_ops.devstack.http_server import (
    HttpEndpoint,
    http_endpoint,
    http_server_environment,
    http_server_is_healthy,
    http_server_is_installed,
    private_key_of,
)
from rollbook_ops.devstack.servers import Servers
from rollbook_ops.devstack.services import Service
from rollbook_ops.devstack.workers import responding_workers
from rollbook_shared.database.schema import DEFAULT_SCHEMA
from rollbook_shared.install_hint import install_hint, require_extra
from rollbook_shared.jobs.celery_task import BULK_QUEUE, DEFAULT_QUEUE

_READY_SECONDS: Final = 90.0
"""How long the start may take. On a busy machine most of it is importing Celery."""
_STOP_SECONDS: Final = 10.0
"""How long a worker may take to finish its jobs."""
_POLL_SECONDS: Final = 0.25
_CHECK_SECONDS: Final = 1.0
_WORKERS: Final[Mapping[str, tuple[str, int]]] = {"default": (DEFAULT_QUEUE, 2), "bulk": (BULK_QUEUE, 1)}
"""The queue and the number of threads of each kind of worker.

Few threads: each applies a batch, and Python runs one at a time; 1, 2, 4 and 8 threads applied the same number of jobs
a second within the noise. Two, so that slow jobs do not block the others. For more throughput start more workers, which
are processes.
"""


class LocalStack:
    """Starts everything, watches it, and stops it at the end of the `with` block.

    With `data_dir` the data are kept for the next run. A server that is given by URL is used and never stopped, unless
    the URL is that of an earlier run's local server: then the stack starts its own. All processes end with this
    process, even if it is killed (Linux only). `flower_url` contains Flower's password; it is None if Flower is not
    wanted or not installed. `http` has the address and the keys of the HTTP server; it is None likewise.

    registry: the file with the channels; if a sender of ours delivers one, the process that delivers is started.
    durable: a confirmed commit survives a crash of the machine. A trial does not need this.
    report: called with a line when something is started.
    check: called repeatedly while the stack waits for something; an exception that it raises ends the waiting.
    """

    def __init__(
        self,
        *,
        data_dir: Path | None = None,
        database_url: str | None = None,
        broker_url: str | None = None,
        schema: str = DEFAULT_SCHEMA,
        workers: int = 1,
        flower: bool = True,
        server: bool = False,
        registry: str | None = None,
        durable: bool = True,
        report: Callable[[str], None] = lambda line: None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self._data_dir = data_dir
        self.schema = schema
        self._workers = workers
        self._wants_flower = flower
        self._wants_http_server = server
        self._registry = registry
        self._report = report
        self._check = check
        given = {"postgres": database_url, "valkey": broker_url}
        self._stale = {name for name, url in given.items() if url and is_of_earlier_run(url, data_dir)}
        self._given = {name: bool(url) and name not in self._stale for name, url in given.items()}
        self.servers = Servers(
            data_dir,
            database_url=database_url if self._given["postgres"] else None,
            broker_url=broker_url if self._given["valkey"] else None,
            durable=durable,
        )
        self._services: list[Service] = []
        self._tasks: list[subprocess.Popen[bytes]] = []
        self._lock: tuple[int, ...] = ()
        self.flower_url: str | None = None
        self._flower_address = ""
        self.http: HttpEndpoint | None = None
        self.private_key: Path | None = None
        self.console_url: str | None = None
        self._cleanup = ExitStack()

    @property
    def database_url(self) -> str:
        return self.servers.database_url

    @property
    def broker_url(self) -> str:
        return self.servers.broker_url

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables with which a process finds this stack."""
        urls = {"ROLLBOOK_BROKER_URL": self.broker_url, "ROLLBOOK_DATABASE_URL": self.database_url}
        return urls if self.schema == DEFAULT_SCHEMA else {**urls, "ROLLBOOK_SCHEMA": self.schema}

    def start(self) -> Self:
        """Start everything, and return when the workers reply.

        Raises:
            ServerFailed: a process did not start, or ended by itself; everything that was started is stopped again.
            NotConfigured: the extra `worker` is not installed.
        """
        require_extra("a worker", "worker", "celery", "alembic", "sqlalchemy", "psycopg")
        with ExitStack() as undo:
            self.folder = self._make_folder(undo)
            self._report_servers()
            undo.callback(self.servers.stop)
            self.servers.start()
            undo.callback(self._stop_processes)
            if self._wants_flower:
                self._start_flower()
            if self._wants_http_server:
                self._start_http_server()
            self._migrate()
            self._report("starting the workers")
            self._start_workers()
            self._start_delivery()
            self._wait_until_ready()
            self._open_console()
            self._cleanup = undo.pop_all()
        return self

    def stop(self) -> None:
        """Stop everything, the servers last. Idempotent."""
        self._cleanup.close()

    def spawn(self, name: str, args: Sequence[str | Path]) -> tuple[subprocess.Popen[bytes], Path]:
        """Start a process that finds this stack and may end by itself. It is stopped with the stack at the latest.

        Returns the process and the file with its output.
        """
        log = self.folder / f"{name}.log"
        process = self._spawn(args, log)
        self._tasks.append(process)
        return process, log

    def watch(self, timeout: float | None = None) -> None:
        """Return after `timeout` seconds (None: never) if all processes run until then.

        Raises:
            ChildExited: a process ended by itself.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            self._check()
            left = _CHECK_SECONDS if deadline is None else max(0.0, min(_CHECK_SECONDS, deadline - time.monotonic()))
            if exited := wait_for_exit(self.children, left):
                raise exited
            if deadline is not None and time.monotonic() >= deadline:
                return

    def keep_running(self) -> None:
        """Never return; start a worker, the maintenance process, Flower or the HTTP server again if it ends.

        Raises:
            ChildExited: a server ended by itself, or another process ended again and again.
        """
        while True:
            try:
                self.watch()
            except ChildExited as exited:
                service = next((service for service in self._services if service.name == exited.name), None)
                if service is None or not service.restart():
                    raise
                self._report(
                    f"{exited.name} ended by itself ({exited.reason}); started it again; its log: {exited.log}"
                )

    @property
    def children(self) -> list[Child]:
        """All processes that should be running."""
        servers = [
            Child(server.name, server.pid, server.log)
            for name in ("postgres", "valkey")
            if not self._given[name]
            for server in (self.servers.postgres if name == "postgres" else self.servers.valkey,)
        ]
        return [*servers, *(service.child for service in self._services)]

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
            # The children inherit it, so that another run removes the folder only when all of them have ended.
            self._lock = (folder.descriptor,)
            return folder.path
        logs = self._data_dir.absolute() / "logs"
        logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        return logs

    def _report_servers(self) -> None:
        for name, role in (("postgres", "database"), ("valkey", "broker")):
            if self._given[name]:
                self._report(f"using the {role} given by URL")
                continue
            if name in self._stale:
                self._report(f"the {role}'s URL is that of an earlier run's {name.capitalize()}; it is not used")
            self._report(f"starting {name.capitalize()}")
        if self._data_dir is not None and all(self._given.values()):
            self._report("both servers are given by URL, so the folder of --data-dir receives only logs")

    def _migrate(self) -> None:
        self._report("migrating the database")
        migration, log = self.spawn("migrate", [sys.executable, "-m", "rollbook_worker.migrations"])
        while migration.poll() is None:
            self._check()
            wait_for_exit([Child("migrate", migration.pid, log)], _CHECK_SECONDS)
        if status := migration.returncode:
            raise ServerFailed(f"the database could not be migrated (exit code {status}):", details=last_lines(log))

    def _start_workers(self) -> None:
        self._names: list[str] = []
        for kind, (queue, threads) in _WORKERS.items():
            for number in range(1, self._workers + 1):
                self._start_worker(f"{kind}-{number}", queue, threads)
        self._start_service("maintenance", [sys.executable, "-m", "rollbook_worker.maintenance"])

    def _start_worker(self, name: str, queue: str, threads: int) -> None:
        # With the process id, so that the workers of two stacks on one broker have different names.
        full_name = f"{name}.{os.getpid()}@{socket.gethostname()}"
        self._names.append(full_name)
        command = [sys.executable, "-m", "rollbook_worker", "--queues", queue]
        options = ["--hostname", full_name, "--concurrency", str(threads)]
        self._start_service(f"worker-{name}", [*command, *options])

    def _start_flower(self) -> None:
        if importlib.util.find_spec("flower") is None:
            self._report(f"Flower is not installed; starting without it ({install_hint('dashboard')})")
            return
        endpoint = flower_endpoint(self._data_dir)
        self._report_port("Flower", FLOWER_PORT, endpoint.port)
        self._start_service("flower", flower_command(endpoint), flower_environment(endpoint))
        self.flower_url = flower_url(endpoint)
        self._flower_address = f"http://{LOOPBACK}:{endpoint.port}"

    def _start_http_server(self) -> None:
        if not http_server_is_installed():
            self._report(f"the HTTP server is not installed; starting without it ({install_hint('server')})")
            return
        endpoint = http_endpoint(self._data_dir)
        self._report_port("the HTTP server", HTTP_PORT, endpoint.port)
        self.private_key = private_key_of(self._data_dir or self.folder)
        environment = http_server_environment(endpoint, self.private_key, with_console=console_is_installed())
        self._start_service("http-server", endpoint.command, environment)
        self.http = endpoint

    def _open_console(self) -> None:
        """Make a link to the console; not in a database given by URL, where an admin of ours may be one too many."""
        if self.http is None:
            return
        if not console_is_installed():
            self._report(f"the console is not installed; starting without it ({install_hint('console')})")
        elif self._given["postgres"]:
            self._report("the console is at /console; `rollbook console accounts add` adds an account to the database")
        else:
            self.console_url = console_link(self.database_url, self.schema, self.http.url)

    def _report_port(self, what: str, usual: int, port: int) -> None:
        if port != usual:
            self._report(f"port {usual} was in use, so {what} listens on port {port}")

    def _start_delivery(self) -> None:
        if not delivers(self._registry):
            return
        if not delivery_is_installed():
            self._report(f"the senders are not installed; nothing is delivered ({install_hint('deliver')})")
            return
        self._start_service("deliver", delivery_command(), delivery_environment())

    def _start_service(
        self, name: str, args: Sequence[str | Path], environment: Mapping[str, str] | None = None
    ) -> None:
        log = self.folder / f"{name}.log"
        self._services.append(Service(name, log, lambda: self._spawn(args, log, environment)))

    def _spawn(
        self, args: Sequence[str | Path], log: Path, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        # An application's settings for Celery, such as CELERY_BROKER_URL, would override these.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CELERY_")}
        env = {**inherited, "ROLLBOOK_SCHEMA": self.schema, **self.environment, **(environment or {})}
        return processes.spawn(args, log=log, env=env, pass_fds=self._lock)

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        missing = set(self._names)
        while missing := missing - responding_workers(self.broker_url, missing):
            self._check_progress(deadline, f"these workers do not reply: {', '.join(sorted(missing))}", 0)
        while self.flower_url is not None and not flower_is_healthy(self._flower_address):
            self._check_progress(deadline, "Flower does not respond", _POLL_SECONDS)
        while self.http is not None and not http_server_is_healthy(self.http.url):
            self._check_progress(deadline, "the HTTP server does not respond", _POLL_SECONDS)

    def _check_progress(self, deadline: float, problem: str, timeout: float) -> None:
        self.watch(timeout)
        if time.monotonic() > deadline:
            raise ServerFailed(f"{problem}; the logs are in {self.folder}")

    def _stop_processes(self) -> None:
        running = [*self._tasks, *(service.process for service in self._services)]
        self._tasks.clear()
        self._services.clear()
        for process in running:
            processes.request_stop(process)
        deadline = time.monotonic() + _STOP_SECONDS
        for process in running:
            processes.stop(process, max(0.0, deadline - time.monotonic()))


__all__ = ["ChildExited", "LocalStack"]
