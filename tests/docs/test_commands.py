"""Every command in a shell block of the README and of docs/ exists, with its options, its files and its names."""

from __future__ import annotations

import re
import shlex
import tomllib
from importlib.util import find_spec
from itertools import pairwise

import pytest
from tests.support.deploy.compose_file import SERVICES, named_services
from tests.support.deploy.manifests import FOLDER as KUBERNETES
from tests.support.deploy.manifests import WORKLOADS
from tests.support.deploy.manifests import kustomization as kustomization_of
from tests.support.deploy.systemd_units import PROCESS_OF, read
from tests.support.documentation import PAGES, arguments_of_redis, assert_rollbook_command, commands
from tests.support.repository import ROOT, known_variables, unknown_options

from rollbook_ops.devstack.binaries import find_postgres

COMMANDS = [(page, command) for page in PAGES for command in commands(page)]
OTHER_VARIABLES = {"DATABASE_URL", "OTEL_SERVICE_NAME", "OTEL_EXPORTER_OTLP_ENDPOINT"} | {
    "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"
}
"""What an example's application and OpenTelemetry's SDK read."""


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_command_exists(page: str, command: str) -> None:
    program, *arguments = shlex.split(command)
    for path in (word for word in arguments if word.startswith(("deploy/", "examples/"))):
        assert list(ROOT.glob(path)), path

    match program.rpartition("/")[2]:
        case "run":
            assert_run_command(arguments)
        case "rollbook":
            assert_rollbook_command(arguments)
        case "export":
            names = {pair.partition("=")[0] for pair in arguments}
            assert names <= known_variables() | OTHER_VARIABLES | {"REDISCLI_AUTH"}
        case "python" | "python3":
            assert arguments[0] == "-m"
            assert find_spec(f"{arguments[1]}.__main__")
        case "env":
            assert_health_of_a_unit(arguments)
        case "celery":
            assert_celery_command(arguments)
        case "opentelemetry-instrument":
            assert arguments[0] == "rollbook"
            assert_rollbook_command(arguments[1:])
        case "pip":
            assert_installs(arguments)
        case "docker":
            assert_docker_command(arguments)
        case "kubectl":
            assert_about_the_cluster(arguments)
        case "systemctl":
            known = {name.partition("@")[0].removesuffix(".service") for name in PROCESS_OF}
            units = {unit.partition("@")[0] for unit in arguments[1:]}
            assert units <= known | {"rollbook.target", "rollbook-*"}
        case "psql" | "pg_dump" | "pg_restore":
            assert (find_postgres() / program).exists()
        case "redis-cli":
            assert arguments_of_redis(arguments)[0].isupper()
        case "read":
            assert arguments == ["-rs", "REDISCLI_AUTH"]
        case "kill":
            assert arguments[1:] == ["WORKER_PID"]
        case "curl" | "install" | "cp" | "journalctl":
            pass
        case _:
            raise AssertionError(f"nothing is known of {program}")


def assert_run_command(arguments: list[str]) -> None:
    name, *rest = arguments
    match name:
        case "docs" | "test" | "python" | "bench" | "chaos" | "knock-suite":
            known = (ROOT / "run").read_text() + (ROOT / "benchmarks" / "bench" / "arguments.py").read_text()
            assert [word for word in rest if word.startswith("--") and f'"{word}"' not in known] == []
        case "pytest":
            assert [path for path in rest if not (ROOT / path).exists()] == []
        case "uvicorn":
            _, folder, application = rest
            assert (ROOT / folder / f"{application.partition(':')[0]}.py").exists()
        case _:
            assert_rollbook_command(arguments)


def assert_celery_command(arguments: list[str]) -> None:
    assert arguments[:2] == ["-A", "rollbook_worker.app"]
    assert unknown_options(arguments[2], [word for word in arguments[3:] if word.startswith("-")]) == []


def assert_installs(arguments: list[str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = {extra for word in arguments for group in re.findall(r"^\.\[(.+)\]$", word) for extra in group.split(",")}

    assert arguments[0] == "install"
    assert extras <= set(project["optional-dependencies"])


def assert_docker_command(arguments: list[str]) -> None:
    command, *rest = arguments
    if command != "compose":
        assert command in ("build", "push") or [command, *rest[:2]] == ["buildx", "imagetools", "inspect"]
        return
    profiles = {profile for service in SERVICES.values() for profile in service.get("profiles", [])}
    asked = [word for at, word in enumerate(rest) if at and rest[at - 1] == "--profile"]
    assert set(asked) <= profiles
    others = [word for word in rest if word not in asked]
    if "rollbook" in others:
        at = others.index("rollbook")
        assert_rollbook_command(others[at + 1 :])
        others = others[:at]
    assert set(named_services(["compose", *others])) <= {*SERVICES, "down"}


def assert_health_of_a_unit(arguments: list[str]) -> None:
    setting, _, _, module, option = arguments
    assert find_spec(f"{module}.__main__")
    assert setting == f"ROLLBOOK_HEALTH_FILE={read('rollbook-default@.service').variables['ROLLBOOK_HEALTH_FILE']}"
    assert option == "--ready"


def assert_about_the_cluster(arguments: list[str]) -> None:
    example = kustomization_of(KUBERNETES / "example")
    for option, value in pairwise(arguments):
        match option:
            case "--namespace":
                assert value == example["namespace"]
            case "--selector":
                label, _, component = value.partition("=")
                assert WORKLOADS[component]["metadata"]["labels"][label] == component
    for word in arguments:
        if found := re.fullmatch(r"(deployment|job)/(.*)", word):
            workload = WORKLOADS[found[2].removeprefix("rollbook-")]
            assert (workload["kind"].lower(), workload["metadata"]["name"]) == (found[1], found[2])
