"""The commands of docker-compose.yml start, find each other, work, and end in time."""

from __future__ import annotations

import base64
import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx
import psycopg
import pytest
import redis
from psycopg.sql import SQL, Identifier, Literal
from tests.support.brokers import REDIS_NEEDED, connect_to_broker
from tests.support.deploy.compose_file import OURS
from tests.support.deploy.compose_processes import Composition
from tests.support.deploy.process_commands import LASTING
from tests.support.repository import ROOT
from tests.support.senders.mail_server import MailServer, mail_server
from tests.support.truncated_aof import HALF
from tests.support.waits import DEADLINE_SECONDS, wait_until
from tests.support.yaml_files import load_yaml

from rollbook import Rollbook
from rollbook_ops.devstack import Servers, processes
from rollbook_ops.devstack.binaries import find_postgres, find_valkey
from rollbook_ops.devstack.endpoint import LOOPBACK, free_port

PASSWORD: Final = "a1b2c3"
GIVEN: Final = {
    "POSTGRES_PASSWORD": PASSWORD,
    "REDIS_PASSWORD": PASSWORD,
    "FLOWER_BASIC_AUTH": f"reader:{PASSWORD}",
    "ROLLBOOK_ERASURE_KEY": PASSWORD,
    "ROLLBOOK_SECRET_KEYS": PASSWORD,
}
FETCHED: Final[list[str]] = load_yaml((ROOT / "deploy" / "metrics" / "prometheus.yml").read_text())["scrape_configs"][
    0
]["dns_sd_configs"][0]["names"]


REGISTRY: Final = """
[channels.mail]
type = "email"
delivery = "smtp"
[channels.mail.options]
host = "127.0.0.1"
port = {port}
tls = "none"
from = "Example <hello@example.com>"
"""


@pytest.fixture(scope="module")
def mail() -> Iterator[MailServer]:
    with mail_server() as server:
        yield server


@pytest.fixture(scope="module")
def registry_folder(mail: MailServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is mounted: a channel that leads to the mail server, and a template."""
    folder = tmp_path_factory.mktemp("registry")
    (folder / "registry.toml").write_text(REGISTRY.format(port=mail.port))
    (template := folder / "templates" / "welcome" / "mail.liquid").parent.mkdir(parents=True)
    template.write_text("---\nsubject: Hello {{ recipient.name }}\n---\nWelcome.\n")
    return folder


@pytest.fixture(scope="module")
def composition(
    own_servers: Servers, registry_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Composition]:
    """All of Rollbook's services and both servers, well: `docker compose --profile outbox --profile deliver up`."""
    places = {"redis:6379": f"{LOOPBACK}:{free_port()}", "}:5432/": f"}}:{own_servers.postgres.port}/"}
    given = GIVEN | {"REGISTRY_FOLDER": str(registry_folder), "POSTGRES_HOST": LOOPBACK}
    composition = Composition(tmp_path_factory.mktemp("compose"), given, places)
    try:
        make_database(own_servers, composition)
        start_redis(composition, int(places["redis:6379"].rpartition(":")[2]))
        for name in composition.in_order(set(OURS)):
            composition.up(name)
        for name in LASTING:
            wait_until(partial(composition.healthy, name), what=f"{name} being well")
        yield composition
    finally:
        composition.end()


@pytest.fixture(scope="module")
def rb(composition: Composition) -> Iterator[Rollbook]:
    """As an application on the same machine has it."""
    environment = composition.environment("default")
    database_url, broker_url = environment["ROLLBOOK_DATABASE_URL"], environment["ROLLBOOK_BROKER_URL"]
    with Rollbook(database_url=database_url, broker_url=broker_url) as rb:
        yield rb


def make_database(servers: Servers, composition: Composition) -> None:
    """What the image of Postgres does with the service's variables."""
    given = composition.environment("postgres")
    user, database = Identifier(given["POSTGRES_USER"]), Identifier(given["POSTGRES_DB"])
    with psycopg.connect(servers.database_url, autocommit=True) as connection:
        password = Literal(given["POSTGRES_PASSWORD"])
        connection.execute(SQL("CREATE ROLE {} SUPERUSER LOGIN PASSWORD {}").format(user, password))
        connection.execute(SQL("CREATE DATABASE {} OWNER {}").format(database, user))


def start_redis(composition: Composition, port: int) -> None:
    """Start it by the service's command, on a port of its own."""
    programs = composition.folder("redis") / "bin"
    programs.mkdir()
    (programs / "redis-server").symlink_to(find_valkey())
    *shell, script = composition.service("redis")["command"]
    here = f"redis-server - --bind {LOOPBACK} --port {port} --dir {composition.folder('redis')}"
    script = script.replace("redis-server -", here, 1)
    path = f"{programs}:{composition.environment('redis')['PATH']}"
    composition.start("redis", [*shell, script], PATH=path)
    with redis.Redis(port=port, password=PASSWORD) as client:
        wait_until(partial(answers, client), what="Redis answering")


@REDIS_NEEDED
def test_redis_keeps_confirmed_jobs_after_a_kill_in_a_transaction(tmp_path: Path) -> None:
    places = {"redis:6379": f"{LOOPBACK}:{(port := free_port())}"}
    composition = Composition(tmp_path, GIVEN, places)
    *shell, script = composition.service("redis")["command"]
    script = script.replace("redis-server -", f"redis-server - --bind {LOOPBACK} --port {port} --appendfsync always", 1)
    try:
        with redis.Redis(port=port, password=PASSWORD) as client:
            for name in ("before", "after", "last"):
                composition.start("redis", [*shell, script])
                wait_until(partial(answers, client), what="Redis answering")
                client.lpush("default", name)
                processes.kill(composition.running["redis"])
                (file,) = (composition.folder("redis") / "appendonlydir").glob("*.incr.aof")
                with file.open("ab") as end:
                    end.write(HALF)

            composition.start("redis", [*shell, script])
            wait_until(partial(answers, client), what="Redis answering")
            assert client.lrange("default", 0, -1) == [b"last", b"after", b"before"]
    finally:
        composition.end()


def answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def fetched(url: str, login: str = "") -> str:
    request = urllib.request.Request(url)
    if login:
        request.add_header("Authorization", f"Basic {base64.b64encode(login.encode()).decode()}")
    with urllib.request.urlopen(request, timeout=DEADLINE_SECONDS) as answer:
        return str(answer.read().decode())


def test_redis_has_its_settings_and_needs_a_password(composition: Composition) -> None:
    url = composition.environment("default")["ROLLBOOK_BROKER_URL"]

    with connect_to_broker(url) as client:
        said: dict[str, str] = client.config_get("appendonly", "maxmemory", "maxmemory-policy")
    assert said == {"appendonly": "yes", "maxmemory": str(512 * 2**20), "maxmemory-policy": "noeviction"}
    with (
        connect_to_broker(url.replace(f":{PASSWORD}@", "")) as stranger,
        pytest.raises(redis.AuthenticationError),
    ):
        stranger.ping()


def test_the_health_check_of_postgres_succeeds(composition: Composition, own_servers: Servers) -> None:
    program, *arguments = composition.service("postgres")["healthcheck"]["test"][1:]
    environment = {"PGPORT": str(own_servers.postgres.port)}

    assert subprocess.run([find_postgres() / program, *arguments], env=environment, check=False).returncode == 0


def test_direct_bulk_deferred_and_outbox_jobs_are_applied(composition: Composition, rb: Rollbook) -> None:
    direct = rb.users.identify("ann", {"plan": "pro"})
    bulk = rb.users.bulk_identify([{"id": "bo"}, {"id": "cy"}])
    deferred = rb.users.identify("dee", {}, delay=timedelta(seconds=1))
    with psycopg.connect(composition.environment("relay")["ROLLBOOK_DATABASE_URL"]) as connection:
        written = rb.outbox(connection).users.identify("eve", {})

    assert [job.wait(DEADLINE_SECONDS).state for job in (direct, bulk, deferred, written)] == ["applied"] * 4

    assert rb.users.get("ann").properties == {"plan": "pro"}
    assert {user.id for user in rb.users.list().items} == {"ann", "bo", "cy", "dee", "eve"}


def test_a_trigger_becomes_a_mail(composition: Composition, rb: Rollbook, mail: MailServer) -> None:
    ann = {"id": "ann", "name": "Ann", "email": "ann@example.com"}
    job = rb.workflows.trigger("welcome", [ann], channels=["email"])
    assert job.wait(DEADLINE_SECONDS).state == "applied"

    wait_until(lambda: bool(mail.mails), what="the mail")

    assert (mail.mails[0]["Subject"], mail.mails[0]["To"]) == ("Hello Ann", "Ann <ann@example.com>")
    assert composition.environment("sender")["ROLLBOOK_TEMPLATES"].endswith("/templates")


def test_flower_shows_workers_and_jobs_with_the_password(composition: Composition, rb: Rollbook) -> None:
    url = f"http://{LOOPBACK}:{composition.ports['flower']['flower']}/api/tasks"

    def tasks() -> dict[str, dict[str, Any]]:
        shown: dict[str, dict[str, Any]] = json.loads(fetched(url, GIVEN["FLOWER_BASIC_AUTH"]))
        return shown

    jobs = [rb.users.identify("ann", {}), rb.users.bulk_identify([{"id": "bo"}])]
    wait_until(
        lambda: all(tasks().get(job.id, {}).get("state") == "SUCCESS" for job in jobs), what="Flower showing both"
    )

    workers = [str(tasks()[job.id]["worker"]).partition("@")[0] for job in jobs]
    assert workers == ["default", "bulk"]
    with pytest.raises(urllib.error.HTTPError, match="401"):
        fetched(url)


def test_the_server_applies_what_it_is_sent_with_the_key(composition: Composition, rb: Rollbook) -> None:
    url = f"http://{LOOPBACK}:{composition.ports['server']['server']}"
    headers = {"authorization": f"Bearer {PASSWORD}"}

    assert httpx.get(f"{url}/readyz").status_code == 200
    assert httpx.get(f"{url}/v1/users").status_code == 401
    answer = httpx.put(f"{url}/v1/users/fay", json={"plan": "pro"}, headers=headers, timeout=DEADLINE_SECONDS)
    rb.jobs.wait(answer.headers["rollbook-job-id"], DEADLINE_SECONDS)
    assert httpx.get(f"{url}/v1/users/fay", headers=headers).json()["plan"] == "pro"


@pytest.mark.parametrize("name", FETCHED)
def test_every_scrape_target_of_prometheus_answers(composition: Composition, name: str) -> None:
    port = composition.ports[name]["metrics"]

    assert composition.environment(name)["ROLLBOOK_METRICS_PORT"] == port
    assert "rollbook_" in fetched(f"http://{LOOPBACK}:{port}/metrics")


# the last: nothing runs afterwards
def test_every_service_stops_within_its_grace_period(composition: Composition) -> None:
    assert composition.down(LASTING) == dict.fromkeys(LASTING, 0)

    assert [name for name in LASTING if composition.asked(name) == 0] == []
    assert [name for name in LASTING if "Traceback" in composition.log(name)] == []
