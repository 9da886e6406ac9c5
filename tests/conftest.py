"""Real servers for the whole suite: one Postgres and one Valkey a session, a database and a broker of its own a module.

ROLLBOOK_TEST_DATABASE_URL and ROLLBOOK_TEST_BROKER_URL name servers to use instead. Ours can be stopped and killed by
fault tests: those ask for `own_servers`, which no other test uses. ROLLBOOK_TEST_BROKER_PROGRAM names the program that
is started as broker for those too, such as `redis-server`.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path

import pytest
from tests.support.brokers import broker_program, connect_to_broker
from tests.support.citus import CITUS_URL, distributed_rollbook, set_up
from tests.support.citus import VARIABLE as VARIABLE_OF_CITUS
from tests.support.cluster_template import VARIABLE, copy_clusters, make_template_folder
from tests.support.databases import ELSEWHERE, OUTBOX, ROLLBOOK, Databases, LendDatabase, with_database
from tests.support.file_order import sort_by_cost
from tests.support.memory_folder import use_memory
from tests.support.server_mark import current_test, guard_servers
from tests.support.stores import OnPostgres
from tests.support.tls_contexts import share_contexts
from tests.support.worker_processes import Workers

from rollbook import Rollbook
from rollbook_ops.devstack import Servers

# 0 is left alone in a server that is not ours.
_broker_databases = cycle(range(1, 16))


def pytest_configure(config: pytest.Config) -> None:
    patch = pytest.MonkeyPatch()
    config.add_cleanup(patch.undo)
    guard_servers(patch)
    use_memory(patch)
    if not hasattr(config, "workerinput"):  # one for all processes
        template = make_template_folder()
        config.add_cleanup(template.cleanup)
        patch.setenv(VARIABLE, template.name)
    copy_clusters(Path(os.environ[VARIABLE]), patch.setattr)
    config.pluginmanager.register(FailureNames(config))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected stays to the end: to look for garbage in it would take five sixths of the time to collect."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


class FailureNames:
    """Names a test as soon as it has failed: the summary may be minutes away, or never come."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._name(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._name(report)

    def _name(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        # a process of xdist has none; with -v every name is there
        if report.failed and terminal is not None and terminal.verbosity <= 0:
            terminal.ensure_newline()
            terminal.write_line(
                f"{'FAILED' if getattr(report, 'when', '') == 'call' else 'ERROR'} {report.nodeid}", red=True
            )


@pytest.hookimpl(tryfirst=True)  # before -m looks at the marks
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if "starts_servers" in getattr(item, "fixturenames", ()):
            item.add_marker("servers")
    if hasattr(config, "workerinput"):  # one of several processes
        sort_by_cost(items)


def pytest_collection_finish(session: pytest.Session) -> None:
    patch = pytest.MonkeyPatch()
    session.config.add_cleanup(patch.undo)
    share_contexts(patch)


def pytest_runtest_setup(item: pytest.Item) -> None:
    current_test.has_mark = item.get_closest_marker("servers") is not None


@pytest.fixture(scope="session")
def starts_servers() -> None:
    """Every fixture that starts a server depends on this one, so that its tests have the mark `servers`."""


@pytest.fixture(scope="session")
def servers(starts_servers: None) -> Iterator[Servers]:
    """One Postgres and one Valkey for the session; not to be stopped by tests."""
    with Servers(
        database_url=os.environ.get("ROLLBOOK_TEST_DATABASE_URL"),
        broker_url=os.environ.get("ROLLBOOK_TEST_BROKER_URL"),
        durable=False,
        valkey_program=broker_program(),
    ) as servers:
        yield servers


@pytest.fixture(scope="module")
def own_servers(starts_servers: None) -> Iterator[Servers]:
    """A Postgres and a Valkey of the module's own, to stop, kill and restart. Valkey keeps its jobs on disk."""
    with Servers(durable=False, append_only=True, valkey_program=broker_program()) as servers:
        yield servers


@pytest.fixture(scope="session")
def databases(servers: Servers) -> Iterator[Databases]:
    """Migrated databases on the session's server."""
    databases = Databases(servers.database_url, ROLLBOOK)
    yield databases
    databases.close()


@pytest.fixture(scope="session")
def databases_elsewhere(servers: Servers) -> Iterator[Databases]:
    """Databases with a Rollbook in another schema than the default one, on the session's server."""
    databases = Databases(servers.database_url, ELSEWHERE)
    yield databases
    databases.close()


@pytest.fixture(scope="session")
def outbox_databases(servers: Servers) -> Iterator[Databases]:
    """Databases of applications on the session's server."""
    databases = Databases(servers.database_url, OUTBOX)
    yield databases
    databases.close()


@pytest.fixture(scope="module")
def new_database(databases: Databases) -> Iterator[LendDatabase]:
    """Lend migrated, empty databases to the module: each call gives the URL of another."""
    with ExitStack() as returned:

        def lend() -> str:
            url = databases.lend()
            returned.callback(databases.take_back, url)
            return url

        yield lend


@pytest.fixture
def fresh_database_url(databases: Databases) -> Iterator[str]:
    """A migrated, empty database of the test's own."""
    url = databases.lend()
    yield url
    databases.take_back(url)


@pytest.fixture
def backend_url(outbox_databases: Databases) -> Iterator[str]:
    """An application's database, with an empty outbox."""
    url = outbox_databases.lend()
    yield url
    outbox_databases.take_back(url)


@pytest.fixture(scope="module")
def database_url(new_database: LendDatabase) -> str:
    """The module's own database, migrated and empty."""
    return new_database()


@pytest.fixture(scope="module")
def elsewhere(databases_elsewhere: Databases) -> Iterator[str]:
    """A database of the module's own, whose Rollbook is in `OTHER_SCHEMA`."""
    url = databases_elsewhere.lend()
    yield url
    databases_elsewhere.take_back(url)


@pytest.fixture(scope="session")
def on_citus(starts_servers: None) -> Iterator[OnPostgres]:
    """A Rollbook in a distributed schema of a Citus cluster."""
    if CITUS_URL is None:
        pytest.skip(f"{VARIABLE_OF_CITUS} names no database of a Citus coordinator")
    set_up(CITUS_URL)
    with distributed_rollbook(CITUS_URL) as content:
        subject = OnPostgres(CITUS_URL, content)
        yield subject
        subject.close()


@pytest.fixture(scope="module")
def broker_url(servers: Servers) -> str:
    """The module's own broker: a numbered database of the session's Valkey, emptied."""
    url = with_database(servers.broker_url, str(next(_broker_databases)))
    with connect_to_broker(url) as client:
        client.flushdb()
    return url


@pytest.fixture
def workers(database_url: str, broker_url: str, tmp_path: Path) -> Iterator[Workers]:
    """Starts workers on the module's database and broker; they end with the test."""
    workers = Workers(database_url, broker_url, tmp_path)
    yield workers
    workers.stop()


@pytest.fixture
def rb(database_url: str, broker_url: str) -> Iterator[Rollbook]:
    """A client of the module's database and broker."""
    with Rollbook(database_url=database_url, broker_url=broker_url) as rb:
        yield rb
