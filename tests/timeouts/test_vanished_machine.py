"""A machine that vanishes takes no leave. Postgres notices, and gives its locks to others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import psycopg
import pytest
from benchmarks.chaos.packet_network import CUT, PacketNetwork
from benchmarks.chaos.servers_at_nodes import ServersAtNodes
from tests.support.chaos.packet_networks import SOON, packet_network, with_options
from tests.support.waits import DEADLINE_SECONDS

from rollbook_shared.database.schema import DEFAULT_SCHEMA
from rollbook_shared.database.session import make_session, open_session

HELD = "SELECT pg_advisory_xact_lock(1)"
WAIT = timedelta(seconds=DEADLINE_SECONDS)


@pytest.fixture
def network(starts_servers: None) -> Iterator[PacketNetwork]:
    with packet_network() as network:
        yield network


@pytest.fixture
def url(network: PacketNetwork) -> Iterator[str]:
    with ServersAtNodes(network, None) as servers:
        yield with_options(servers.database_url, SOON)


@pytest.mark.parametrize("is_answered", [True, False])
def test_the_locks_of_a_machine_that_vanished_are_free_again(
    network: PacketNetwork, url: str, is_answered: bool
) -> None:
    """Also if Postgres waits for it to acknowledge an answer: then there are no keepalives."""
    session = make_session(url, application_name="tests", schema=DEFAULT_SCHEMA, statement_timeout=WAIT)
    with network.entered("lost"):
        lost = open_session(session, psycopg.Connection, autocommit=False)
    with closing(lost), closing(open_session(session, psycopg.Connection, autocommit=False)) as other:
        lost.execute(HELD)
        if not is_answered:
            network.change("lost", incoming=CUT)
            lost.pgconn.send_query(b"SELECT 1")
            lost.pgconn.flush()
        network.change("lost", outgoing=CUT, incoming=CUT)

        other.execute(HELD)
