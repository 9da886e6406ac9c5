"""The pages on deployment name what the files in deploy/ and docker-compose.yml hold."""

from __future__ import annotations

import re

from tests.support.deploy.compose_file import SERVICES, variables
from tests.support.deploy.manifests import FOLDER as KUBERNETES
from tests.support.deploy.manifests import kustomization as kustomization_of
from tests.support.deploy.systemd_units import FOLDER as UNITS
from tests.support.deploy.systemd_units import read
from tests.support.documentation import commands, text_of
from tests.support.repository import ROOT

from rollbook_ops.doctor.versions import OLDEST_POSTGRES, OLDEST_REDIS

COMPOSE, KUBERNETES_PAGE, SYSTEMD, DEPLOY = (
    text_of(f"docs/how-to/{name}.md") for name in ("docker-compose", "kubernetes", "systemd", "deploy")
)


def test_systemd_has_the_programs_of_the_image() -> None:
    installed = [
        command.partition("install ")[2] for command in commands("docs/how-to/systemd.md") if "/pip install" in command
    ]
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text()

    assert len(installed) == 2
    for options in installed:
        words = set(options.split()) - {"."}
        assert any(words <= set(line.split()) for line in dockerfile.splitlines() if "pip install" in line)


def test_the_example_uses_the_image_that_the_page_builds() -> None:
    (image,) = kustomization_of(KUBERNETES / "example")["images"]

    assert KUBERNETES_PAGE.count(f"{image['newName']}:{image['newTag']}") == 2


def test_the_variables_of_compose_are_in_the_table() -> None:
    rows = re.findall(r"^\| (`[A-Z].*?`) \|", COMPOSE, re.MULTILINE)

    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set(variables())


def test_the_page_names_the_ports_of_the_units() -> None:
    named = dict(re.findall(r"\b(94\d\d)\s+\(`?(.*?)`?\)", SYSTEMD))

    for port, name in named.items():
        unit = f"rollbook-{name.replace('@1', '@')}.service"
        assert read(unit).variables["ROLLBOOK_METRICS_PORT"] == port
    assert len(named) == 6


def test_the_page_asks_for_the_versions_of_the_doctor() -> None:
    assert f"Postgres ({OLDEST_POSTGRES} or later)" in DEPLOY
    assert "Redis ({}.{} or later".format(*OLDEST_REDIS) in DEPLOY


def test_files_to_deploy_name_the_pages() -> None:
    assert "docs/how-to/docker-compose.md" in (ROOT / "docker-compose.yml").read_text()
    assert "docs/how-to/kubernetes.md" in (KUBERNETES / "base" / "kustomization.yaml").read_text()
    assert (UNITS / "rollbook.target").exists()


def test_ways_to_deploy_lead_to_what_holds_for_all() -> None:
    assert [page for page in (COMPOSE, KUBERNETES_PAGE, SYSTEMD) if "(deploy.md)" not in page] == []


def test_ports_of_compose_are_named() -> None:
    published = {str(port).split(":")[1] for service in SERVICES.values() for port in service.get("ports", [])}

    assert [port for port in published if port not in COMPOSE] == []
