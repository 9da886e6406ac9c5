"""The documents of deploy/kubernetes, and what they say about each process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from tests.support.repository import ROOT
from tests.support.yaml_files import load_all_yaml

Document = dict[str, Any]

FOLDER: Final = ROOT / "deploy" / "kubernetes"
BASE: Final = FOLDER / "base"
COMPONENTS: Final = ("keda", "podmonitor", "relay", "sender", "server")
SETTINGS: Final = "rollbook-settings"


def documents(path: Path) -> list[Document]:
    """Those of one file."""
    return list(load_all_yaml(path.read_text()))


def kustomization(folder: Path) -> Document:
    (only,) = documents(folder / "kustomization.yaml")
    return only


def _objects() -> Iterator[Document]:
    for folder in (BASE, *(FOLDER / name for name in COMPONENTS)):
        for name in kustomization(folder)["resources"]:
            yield from documents(folder / name)


OBJECTS: Final = list(_objects())
"""All that the base and the components make, before anything is patched."""
SECRETS: Final[Mapping[str, dict[str, str]]] = {
    secret["metadata"]["name"]: secret["stringData"] for secret in documents(FOLDER / "secrets.example.yaml")
}


def of_kind(*kinds: str) -> dict[str, Document]:
    """The objects of these kinds by name, without the `rollbook-` before it."""
    found = [each for each in OBJECTS if each["kind"] in kinds]
    return {each["metadata"]["name"].removeprefix("rollbook-"): each for each in found}


WORKLOADS: Final = of_kind("Deployment", "Job")


def pod(name: str) -> Document:
    """What the pods of a process are to be."""
    spec: Document = WORKLOADS[name]["spec"]["template"]["spec"]
    return spec


def container(name: str) -> Document:
    only: Document
    (only,) = pod(name)["containers"]
    return only


def settings() -> dict[str, str]:
    """The variables that are no secrets, with those that a component adds."""
    generated = kustomization(BASE)["configMapGenerator"]
    literals = [literal for each in generated if each["name"] == SETTINGS for literal in each["literals"]]
    return dict(literal.split("=", 1) for literal in literals)


def variables(name: str) -> dict[str, str]:
    """All variables of a process."""
    found: dict[str, str] = {}
    for source in container(name)["envFrom"]:
        if "configMapRef" in source:
            assert source["configMapRef"] == {"name": SETTINGS}
            found |= settings()
        else:
            found |= SECRETS[source["secretRef"]["name"]]
    return found
