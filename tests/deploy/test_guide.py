"""deploy/README.md is true: its commands name what exists, its links lead somewhere, its variables are read."""

from __future__ import annotations

import re
import shlex
from importlib.util import find_spec
from itertools import pairwise

import pytest
from tests.support.deploy.compose_file import SERVICES, variables
from tests.support.deploy.manifests import FOLDER as KUBERNETES
from tests.support.deploy.manifests import WORKLOADS
from tests.support.deploy.manifests import kustomization as kustomization_of
from tests.support.deploy.systemd_units import FOLDER as UNITS
from tests.support.deploy.systemd_units import PROCESS_OF, read
from tests.support.documentation import assert_rollbook_command
from tests.support.repository import ROOT, known_variables

from rollbook_ops.doctor.versions import OLDEST_POSTGRES, OLDEST_REDIS

DEPLOY = ROOT / "deploy"
GUIDE = (DEPLOY / "README.md").read_text()
COMMANDS = [
    line for block in re.findall(r"^```sh\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL) for line in block.splitlines()
]
MOST_LINES = 180


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_names_what_exists(command: str) -> None:
    program, *arguments = shlex.split(command)
    for path in (word for word in arguments if word.startswith("deploy/")):
        assert list(ROOT.glob(path))

    match program.rpartition("/")[2], arguments:
        case "docker", ["compose", *rest]:
            profiles = {profile for service in SERVICES.values() for profile in service.get("profiles", [])}
            assert {rest[n + 1] for n, word in enumerate(rest) if word == "--profile"} <= profiles
            if "exec" in rest:
                service, *asked = rest[rest.index("exec") + 1 :]
                assert service in SERVICES
                assert_rollbook_command(asked[1:])
        case "kubectl", _:
            assert_about_the_cluster(arguments)
        case "systemctl", [_, *units]:
            known = {name.partition("@")[0].removesuffix(".service") for name in PROCESS_OF}
            assert {unit.partition("@")[0] for unit in units} <= known | {"rollbook.target", "rollbook-*"}
        case "env", [*settings, _, "-m", module, "--ready"]:
            assert find_spec(f"{module}.__main__")
            said = read("rollbook-default@.service").variables["ROLLBOOK_HEALTH_FILE"]
            assert settings == [f"ROLLBOOK_HEALTH_FILE={said}"]
        case (("docker" | "psql" | "python3" | "pip" | "install" | "cp" | "journalctl"), _):
            pass
        case _:
            raise AssertionError(f"nothing is known of {program}")


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


def test_systemd_is_given_the_programs_as_the_image_is() -> None:
    installed = [command.partition("install ")[2] for command in COMMANDS if "/pip install" in command]
    dockerfile = (DEPLOY / "Dockerfile").read_text()

    assert len(installed) == 2
    for options in installed:
        words = set(options.split()) - {"."}
        assert any(words <= set(line.split()) for line in dockerfile.splitlines() if "pip install" in line)


def test_where_it_builds_an_image_the_example_takes_it() -> None:
    (image,) = kustomization_of(KUBERNETES / "example")["images"]

    assert GUIDE.count(f"{image['newName']}:{image['newTag']}") == 2


def test_each_link_leads_somewhere() -> None:
    for path, anchor in re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", GUIDE):
        text = (DEPLOY / path).read_text() if path.endswith(".md") else GUIDE if not path else ""
        anchors = {title.lower().replace(" ", "-") for title in re.findall(r"^## (.*)$", text, re.MULTILINE)}
        assert (DEPLOY / path).exists()
        assert not anchor or anchor in anchors


def test_the_variables_of_compose_are_in_its_table() -> None:
    rows = re.findall(r"^\| (`[A-Z].*?`) \|", GUIDE, re.MULTILINE)

    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set(variables())


def test_every_setting_that_it_names_is_one() -> None:
    named = set(re.findall(r"\bROLLBOOK_[A-Z_]+", GUIDE))

    assert named <= known_variables()


def test_the_ports_that_it_names_are_those_of_the_units() -> None:
    named = dict(re.findall(r"\b(94\d\d)\s+\(`?(.*?)`?\)", GUIDE))

    for port, name in named.items():
        unit = f"rollbook-{name.replace('@1', '@')}.service"
        assert read(unit).variables["ROLLBOOK_METRICS_PORT"] == port
    assert len(named) == 4


def test_the_versions_that_it_asks_for_are_those_that_the_doctor_does() -> None:
    assert f"Postgres ({OLDEST_POSTGRES} or later)" in GUIDE
    assert "Redis ({}.{} or later".format(*OLDEST_REDIS) in GUIDE


def test_it_stays_short_and_is_referred_to() -> None:
    assert len(GUIDE.splitlines()) < MOST_LINES
    assert "deploy/README.md" in (ROOT / "README.md").read_text()
    assert "deploy/README.md" in (ROOT / "docker-compose.yml").read_text()
    assert (UNITS / "rollbook.target").exists()
