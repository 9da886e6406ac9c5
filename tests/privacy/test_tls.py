"""Every process can use both servers over TLS alone, with verified certificates."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.support.event_loops import open_client
from tests.support.privacy.tls_proxy import Certificate, Front, make_certificate, tls_in_front_of
from tests.support.waits import DEADLINE_SECONDS, wait_until
from tests.support.worker_processes import Workers

from rollbook import NotSent, Rollbook, Unavailable
from rollbook_ops.relay.outbox_table import OutboxTable
from rollbook_worker.store import PostgresStore


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def redis_front(certificate: Certificate, broker_url: str) -> Iterator[Front]:
    with tls_in_front_of(certificate, _port(broker_url)) as front:
        yield front


@pytest.fixture(scope="module")
def postgres_front(certificate: Certificate, database_url: str) -> Iterator[Front]:
    with tls_in_front_of(certificate, _port(database_url), asks_first=True) as front:
        yield front


@pytest.fixture
def safe_broker_url(redis_front: Front, certificate: Certificate, broker_url: str) -> str:
    verified = f"ssl_cert_reqs=required&ssl_ca_certs={certificate.certificate}"
    return _through(redis_front, broker_url, verified, scheme="rediss")


@pytest.fixture
def safe_database_url(postgres_front: Front, certificate: Certificate, database_url: str) -> str:
    return _through(postgres_front, database_url, f"sslmode=verify-full&sslrootcert={certificate.certificate}")


def test_jobs_are_applied_over_tls(
    safe_broker_url: str, safe_database_url: str, redis_front: Front, postgres_front: Front, tmp_path: Path
) -> None:
    workers = Workers(safe_database_url, safe_broker_url, tmp_path)
    with Rollbook(broker_url=safe_broker_url, database_url=safe_database_url) as rb:
        try:
            worker = workers.spawn(threads=2)
            jobs = [rb.users.identify(f"u{number}", {"plan": "pro"}) for number in range(20)]
            assert {job.wait(DEADLINE_SECONDS).state for job in jobs} == {"applied"}
            assert rb.users.get("u1").properties == {"plan": "pro"}
            assert worker.poll() is None
            # before the stop, which may cut a connection that is being made
            assert (redis_front.rejected, postgres_front.rejected) == (0, 0)
        finally:
            workers.stop()
    assert redis_front.taken > 1
    assert postgres_front.taken > 1


def test_the_asynchronous_client_writes_and_reads_over_tls(
    safe_broker_url: str, safe_database_url: str, redis_front: Front, postgres_front: Front
) -> None:
    taken = redis_front.taken, postgres_front.taken
    with open_client("AsyncRollbook", broker_url=safe_broker_url, database_url=safe_database_url) as rb:
        job = rb.users.identify("u1", {"plan": "pro"})
        assert rb.jobs.get(job.id).state == "queued"

    assert redis_front.taken > taken[0]
    assert postgres_front.taken > taken[1]


@pytest.mark.parametrize("sslmode", ["require", "verify-ca", "verify-full"])
def test_every_connection_to_postgres_has_the_modes_of_libpq(
    postgres_front: Front, certificate: Certificate, database_url: str, sslmode: str
) -> None:
    url = _through(postgres_front, database_url, f"sslmode={sslmode}&sslrootcert={certificate.certificate}")

    assert PostgresStore(url).cleanup.prune_dead_letters(now=0) == 0
    assert Rollbook(database_url=url).jobs.get("none").state == "queued"
    table = OutboxTable(url)
    table.create()
    with table.transaction() as outbox:
        assert outbox.cursor.connection.pgconn.ssl_in_use


def test_an_untrusted_certificate_is_rejected(
    redis_front: Front, postgres_front: Front, broker_url: str, database_url: str
) -> None:
    unknown = _through(redis_front, broker_url, "ssl_cert_reqs=required", scheme="rediss")
    with Rollbook(broker_url=unknown) as rb, pytest.raises(NotSent, match="certificate verify failed"):
        rb.users.delete("u1")

    # the system's authorities do not know it
    url = _through(postgres_front, database_url, "sslmode=verify-full&sslrootcert=system")
    with Rollbook(database_url=url) as rb, pytest.raises(Unavailable):
        rb.jobs.get("none")
    with pytest.raises(Unavailable):
        PostgresStore(url).cleanup.prune_dead_letters(now=0)


def test_a_server_that_needs_tls_rejects_plain_connections(redis_front: Front, broker_url: str) -> None:
    before = redis_front.taken
    plain = _through(redis_front, broker_url, "")

    with Rollbook(broker_url=plain) as rb, pytest.raises(NotSent):
        rb.users.identify("u1", {"email": "ann@example.com"})

    wait_until(lambda: redis_front.rejected > 0, what="the refusal")
    assert redis_front.taken == before


def _port(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port


def _through(front: Front, url: str, query: str, scheme: str = "") -> str:
    parts = urlsplit(url)
    login = parts.netloc.rpartition("@")[0]
    netloc = f"{login}@127.0.0.1:{front.port}" if login else f"127.0.0.1:{front.port}"
    return parts._replace(scheme=scheme or parts.scheme, netloc=netloc, query=query).geturl()
