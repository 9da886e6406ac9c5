"""Broker URLs mean to the client, which has redis-py alone, what they mean to workers, which have kombu."""

from __future__ import annotations

import ssl
from typing import Any
from unittest.mock import patch

import pytest
import redis
from kombu.connection import Connection
from redis.sentinel import SentinelManagedConnection

from rollbook_shared.broker_url import BrokerEndpoint, for_kombu, parse_broker_url
from rollbook_shared.errors import NotConfigured

TIMEOUTS = {"connect_seconds": 1.0, "answer_seconds": 1.5}

KOMBU_OPTIONS = {"socket_connect_timeout": 1.0, "socket_timeout": 1.5, "socket_keepalive": True}


@pytest.mark.parametrize(
    ("url", "plain", "options"),
    [
        ("redis://:pw@a:1/0;redis://b/0", "redis://:pw@a:1/0;redis://b/0", {}),
        ("rediss://a/0?ssl_cert_reqs=required", "rediss://a/0?ssl_cert_reqs=required", {}),
        ("sentinel://a:1/2", "sentinel://a:1/2", {}),
        ("sentinel://:pw@a:1/2?master_name=main", "sentinel://:pw@a:1/2", {"master_name": "main"}),
        ("sentinel://a?master_name=main;sentinel://b", "sentinel://a;sentinel://b", {"master_name": "main"}),
        ("sentinel://a;sentinel://b/0?master_name=m%20n", "sentinel://a;sentinel://b/0", {"master_name": "m n"}),
    ],
)
def test_the_master_s_name_is_an_option_of_kombu_and_the_rest_stays(
    url: str, plain: str, options: dict[str, str]
) -> None:
    assert for_kombu(url) == (plain, options)


def given(parameters: dict[str, Any]) -> dict[str, Any]:
    """The parameters without those that say nothing, and without the size of kombu's pool."""
    kept = {name: value for name, value in parameters.items() if name != "max_connections"}
    return {name: value for name, value in kept.items() if value is not None and value != {} and value is not False}


def kombu_channel(url: str) -> Any:
    """kombu's Redis channel for the URL, made without a server."""
    plain, options = for_kombu(url)
    connection: Any = Connection(plain, transport_options={**KOMBU_OPTIONS, **options})  # type: ignore[no-untyped-call]
    with patch.object(redis.Redis, "ping"):
        return connection.transport.create_channel(connection.transport)


PLAIN = [
    "redis://",
    "redis://10.0.0.1",
    "redis://10.0.0.1/",
    "redis://10.0.0.1//3",
    "redis://10.0.0.1:6380/15",
    "redis://Redis.Example.COM:6380/1",
    "redis://[::1]:6380/2",
    "redis://:secret@10.0.0.1/0",
    "redis://app:secret@10.0.0.1/0",
    "redis://app@10.0.0.1/0",
    "redis://:p%40ss%2Fw%23o%3Fr%3Ad%3B%25+@10.0.0.1/0",
    "redis://us%3Aer:%C3%A9@10.0.0.1/0",
    "redis://10.0.0.1/0?connect_timeout=3&heartbeat=10",
    "redis://10.0.0.1/0?ssl_cert_reqs=required",
    "redis://10.0.0.1/0?credential_provider=tests.shared.test_broker_url:Credentials",
    "redis://app:secret@10.0.0.1/0?credential_provider=tests.shared.test_broker_url.Credentials",
    "rediss://10.0.0.1:6380/0",
    "rediss://10.0.0.1:6380/0?ssl_cert_reqs=required",
    "rediss://10.0.0.1:6380/0?ssl_cert_reqs=CERT_REQUIRED",
    "rediss://10.0.0.1:6380/0?ssl_cert_reqs=optional",
    "rediss://10.0.0.1:6380/0?ssl_cert_reqs=CERT_OPTIONAL",
    "rediss://10.0.0.1:6380/0?ssl_cert_reqs=none",
    "rediss://10.0.0.1:6380/0?ssl_cert_reqs=CERT_NONE",
    "rediss://10.0.0.1:6380/0?ssl_ca_certs=%2Fetc%2Fca.pem&ssl_certfile=/etc/c.pem&ssl_keyfile=/etc/k.pem",
    "rediss://:s@10.0.0.1:6380/0?ssl_cert_reqs=required&ssl_check_hostname=False&ssl_password=x&ssl_ca_path=/etc/ca",
    "rediss://10.0.0.1:6380/0?ssl_cert_reqs=required&ssl_check_hostname=true&ssl_ca_data=x&ssl_ciphers=HIGH",
    "redis+socket:///var/run/redis.sock",
    "redis+socket:///var/run/redis.sock?virtual_host=3",
    "redis+socket:///var/run/redis.sock?virtual_host=/3&client_name=app",
    "redis+socket://:secret@/var/run/redis%20one.sock",
    "redis+socket://app:secret@/var/run/redis.sock?virtual_host=1",
    "redis+socket:///var/run/redis.sock?credential_provider=tests.shared.test_broker_url:Credentials",
]


class Credentials(redis.CredentialProvider):
    """Equal to each other, for each client makes its own."""

    def get_credentials(self) -> tuple[str]:
        return ("secret",)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, redis.CredentialProvider) and type(other).__name__ == type(self).__name__

    def __hash__(self) -> int:
        return 0


@pytest.mark.parametrize("url", PLAIN)
def test_a_url_gives_the_connection_that_kombu_makes_of_it(url: str) -> None:
    theirs = kombu_channel(url)._connparams()
    (endpoint,) = parse_broker_url(url)

    ours = endpoint.parameters(**TIMEOUTS)

    assert endpoint.connection_class is theirs.pop("connection_class")
    assert given(ours) == given(theirs)


def test_several_servers_are_endpoints_in_their_order() -> None:
    urls = ["redis://:a@10.0.0.1/1", "rediss://10.0.0.2/2?ssl_cert_reqs=required", "redis+socket:///redis.sock"]

    endpoints = parse_broker_url(";".join(urls))

    assert endpoints == tuple(parse_broker_url(url)[0] for url in urls)


@pytest.mark.parametrize(
    "url",
    [
        "sentinel://10.0.0.1?master_name=main",
        "sentinel://10.0.0.1:26380/3?master_name=main",
        "sentinel://:secret@10.0.0.1:26380/3;sentinel://10.0.0.2?master_name=main",
        "sentinel://app:s%2Fecret@10.0.0.1/1?master_name=main;sentinel://10.0.0.2:1/2;sentinel://:other@10.0.0.3",
        "sentinel://10.0.0.1/1;sentinel://10.0.0.2/1;?master_name=main",
    ],
)
def test_sentinels_and_what_they_are_asked_for_are_those_of_kombu(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    channel = kombu_channel(url)
    asked = [node.connection_pool.connection_kwargs for node in channel.pool.sentinel_manager.sentinels]
    (endpoint,) = parse_broker_url(url)
    monkeypatch.setattr(BrokerEndpoint, "_find_master", lambda *_: ("10.0.0.9", 6379))

    ours = endpoint.parameters(**TIMEOUTS)

    assert endpoint.master_name == channel.pool.service_name
    assert endpoint.sentinels == tuple((node["host"], node["port"]) for node in asked)
    theirs = given(channel._connparams()) | {"host": "10.0.0.9", "port": 6379}
    assert theirs.pop("connection_class") is SentinelManagedConnection  # asks the sentinels by itself
    assert given(ours) == theirs


@pytest.mark.parametrize(
    "url",
    [
        "redis://10.0.0.1/0?socket_timeout=5",
        "redis://10.0.0.1/0?db=3",
        "redis://10.0.0.1/0?virtual_host=3",
        "redis://10.0.0.1/0?ssl=true",
        "rediss://10.0.0.1/0?ssl_cert_reqs=always",
        "rediss://10.0.0.1/0?ssl_min_version=TLSv1_2",
        "redis://10.0.0.1/0?credential_provider=no_such_module:Credentials",
        "redis://10.0.0.1/0?credential_provider=builtins:dict",
        "redis+socket:///redis.sock?db=3",
        "redis+socket:///redis.sock?virtual_host=app",
        "redis+redis://10.0.0.1/0",
        "redis://10.0.0.1/5/",
        "redis://10.0.0.1/0;sentinel://10.0.0.2/0?master_name=main",
        "redis://10.0.0.1/0;",
        "amqp://10.0.0.1",
    ],
)
def test_what_kombu_fails_on_later_is_rejected_at_the_start(url: str) -> None:
    with pytest.raises(NotConfigured, match="the broker's URL"):
        parse_broker_url(url)


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("redis://10.0.0.1?db=0", "option db, which is not known; the number of the database is the path"),
        ("redis://10.0.0.1?password=S3cret", "option password, .* before the host"),
        ("rediss://10.0.0.1/0?username=app", "option username, .* before the host"),
        ("redis://10.0.0.1/0?ssl=true", "option ssl, .* rediss://"),
        ("redis://10.0.0.1/0?master_name=main", "option master_name, .* sentinel://"),
        ("redis://10.0.0.1/0?max_connections=5", "option max_connections, .* Rollbook sets it itself"),
        ("sentinel://10.0.0.1?master_name=m&ssl_cert_reqs=required", "option ssl_cert_reqs; .* without TLS"),
        ("sentinel://10.0.0.1;?master_name=m&ssl_ca_certs=x", "option ssl_ca_certs; .* without TLS"),
        ("sentinel://10.0.0.1?master_name=m&db=1", "option db, .* is the path"),
        ("redis://:p?S3cret=x@10.0.0.1/0", "the broker's URL"),
    ],
)
def test_an_option_that_is_not_known_is_named_to_clients_and_workers_alike(url: str, named: str) -> None:
    for read in (parse_broker_url, for_kombu):
        with pytest.raises(NotConfigured, match=named) as rejected:
            read(url)
        assert "S3cret" not in str(rejected.value)


def test_a_password_does_not_show() -> None:
    (endpoint,) = parse_broker_url("redis://:S3cret@10.0.0.1/0")

    assert "S3cret" not in repr(endpoint)


def test_tls_that_checks_no_certificate_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    (endpoint,) = parse_broker_url("rediss://10.0.0.1/0")

    assert endpoint.options["ssl_cert_reqs"] is ssl.CERT_NONE
    assert "ssl_cert_reqs=required" in caplog.text
