"""The manifests in deploy/kubernetes start the processes that there are, with what each needs and no more."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml
from tests.deploy.image import stages
from tests.support.brokers import connect_to_broker
from tests.support.deploy.compose_file import OURS
from tests.support.deploy.manifests import (
    BASE,
    COMPONENTS,
    FOLDER,
    OBJECTS,
    SECRETS,
    SETTINGS,
    WORKLOADS,
    Document,
    container,
    documents,
    kustomization,
    of_kind,
    pod,
    settings,
    variables,
)
from tests.support.deploy.process_commands import HEALTHY, LASTING, PROCESSES, meaning
from tests.support.repository import known_variables

from rollbook import Rollbook
from rollbook_shared.jobs.celery_task import QUEUES
from rollbook_shared.settings import Settings

COMPONENT = "app.kubernetes.io/component"
NAMED = {"app.kubernetes.io/name": "rollbook"}
NEEDED = {
    "migrate": {"ROLLBOOK_DATABASE_URL"},
    "flower": {"CELERY_BROKER_URL", "FLOWER_BASIC_AUTH"},
    "relay": {"ROLLBOOK_DATABASE_URL", "ROLLBOOK_BROKER_URL", "ROLLBOOK_OUTBOX_URL"},
    **{
        name: {"ROLLBOOK_DATABASE_URL", "ROLLBOOK_BROKER_URL", "ROLLBOOK_ERASURE_KEY"}
        for name in ("default", "bulk", "maintenance")
    },
}
TOLD_OF_HEALTH = [name for name in LASTING if name != "flower"]


def test_there_is_one_for_each_process() -> None:
    assert sorted(of_kind("Deployment")) == sorted(LASTING)
    assert list(of_kind("Job")) == ["migrate"]


@pytest.mark.parametrize("name", PROCESSES)
def test_each_starts_what_it_is_named_for(name: str) -> None:
    assert meaning(container(name)["command"]) == meaning(PROCESSES[name])
    assert container(name)["image"] == "rollbook"


def test_each_file_is_part_of_something() -> None:
    for folder in (BASE, *(FOLDER / name for name in COMPONENTS)):
        listed = {*kustomization(folder)["resources"], "kustomization.yaml"}
        assert {path.name for path in folder.iterdir()} == listed
    assert {path.name for path in FOLDER.iterdir()} == {"base", "example", "secrets.example.yaml", *COMPONENTS}


def test_only_the_example_names_a_namespace() -> None:
    assert [each["metadata"]["name"] for each in OBJECTS if "namespace" in each["metadata"]] == []
    assert "namespace" not in kustomization(BASE)
    assert kustomization(FOLDER / "example")["namespace"]


def test_its_labels_find_what_they_are_meant_to() -> None:
    for name, workload in WORKLOADS.items():
        labels = NAMED | {COMPONENT: name}
        assert workload["metadata"]["labels"] == workload["spec"]["template"]["metadata"]["labels"] == labels
        assert workload["kind"] == "Job" or workload["spec"]["selector"]["matchLabels"] == labels
    for name, budget in of_kind("PodDisruptionBudget").items():
        assert budget["spec"]["selector"]["matchLabels"] == NAMED | {COMPONENT: name}
    assert all(NAMED.items() <= each["metadata"]["labels"].items() for each in OBJECTS)


class TestWhatAProcessIsTold:
    @pytest.mark.parametrize("name", PROCESSES)
    def test_is_what_it_needs_and_no_more(self, name: str) -> None:
        secret = variables(name).keys() - settings().keys()

        assert secret == NEEDED[name]
        assert variables(name).keys() <= known_variables()

    def test_each_secret_is_one_that_somebody_is_told(self) -> None:
        told = {
            source["secretRef"]["name"]
            for name in WORKLOADS
            for source in container(name)["envFrom"]
            if "secretRef" in source
        }
        (authentication,) = of_kind("TriggerAuthentication").values()
        told |= {reference["name"] for reference in authentication["spec"]["secretTargetRef"]}

        assert told == set(SECRETS)

    @pytest.mark.parametrize("name", SECRETS)
    def test_no_secret_is_in_the_example(self, name: str) -> None:
        assert [value for value in SECRETS[name].values() if "CHANGE-ME" not in value] == []

    @pytest.mark.parametrize("name", PROCESSES)
    def test_no_service_of_the_namespace_becomes_a_setting(self, name: str) -> None:
        assert pod(name)["enableServiceLinks"] is False


class TestHealth:
    @pytest.mark.parametrize("name", TOLD_OF_HEALTH)
    def test_each_is_asked_by_our_command_and_restarted_only_if_it_hangs(self, name: str) -> None:
        probes = {sort: container(name)[f"{sort}Probe"] for sort in ("startup", "liveness", "readiness")}

        asked = {sort: probe["exec"]["command"] for sort, probe in probes.items()}
        assert asked == {"startup": [*HEALTHY], "liveness": [*HEALTHY], "readiness": [*HEALTHY, "--ready"]}
        assert all(probe["timeoutSeconds"] == 5 for probe in probes.values())

    @pytest.mark.parametrize("name", TOLD_OF_HEALTH)
    def test_each_may_write_the_file_that_it_tells_of_itself_in(self, name: str) -> None:
        (mount,) = container(name)["volumeMounts"]
        (volume,) = pod(name)["volumes"]

        assert Path(variables(name)["ROLLBOOK_HEALTH_FILE"]).parent == Path(mount["mountPath"])
        assert volume["name"] == mount["name"]
        assert volume["emptyDir"]["medium"] == "Memory"

    def test_flower_is_asked_as_compose_asks(self) -> None:
        _, *command = OURS["flower"]["healthcheck"]["test"]

        assert container("flower")["livenessProbe"]["exec"]["command"] == command
        assert container("flower")["startupProbe"]["exec"]["command"] == command

    @pytest.mark.parametrize("name", LASTING)
    def test_each_is_given_the_time_that_its_last_batch_may_take(self, name: str) -> None:
        default = Settings()
        longest = default.lock_timeout + default.statement_timeout

        assert pod(name)["terminationGracePeriodSeconds"] >= longest.total_seconds() + 5


class TestConfinement:
    @pytest.mark.parametrize("name", PROCESSES)
    def test_nobody_is_or_becomes_root_or_writes_into_the_image(self, name: str) -> None:
        (user,) = [rest for word, rest in stages()[-1] if word == "USER"]

        assert pod(name)["securityContext"] == {
            "runAsNonRoot": True,
            **dict(zip(("runAsUser", "runAsGroup"), map(int, user.split(":")), strict=True)),
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        assert container(name)["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert pod(name)["automountServiceAccountToken"] is False

    @pytest.mark.parametrize("name", PROCESSES)
    def test_nobody_takes_more_memory_than_under_compose(self, name: str) -> None:
        limit = container(name)["resources"]["limits"]["memory"].removesuffix("i")

        assert limit == OURS[name]["deploy"]["resources"]["limits"]["memory"]

    def test_nobody_is_let_in_but_to_fetch_metrics(self) -> None:
        (policy,) = of_kind("NetworkPolicy").values()

        assert policy["spec"]["podSelector"] == {"matchLabels": NAMED}
        assert [rule["ports"] for rule in policy["spec"]["ingress"]] == [[{"port": "metrics"}]]
        assert "--address=127.0.0.1" in container("flower")["command"]

    @pytest.mark.parametrize("name", TOLD_OF_HEALTH)
    def test_metrics_are_where_they_are_looked_for(self, name: str) -> None:
        (monitor,) = of_kind("PodMonitor").values()
        (endpoint,) = monitor["spec"]["podMetricsEndpoints"]

        ports = [(port["name"], str(port["containerPort"])) for port in container(name)["ports"]]
        assert ports == [(endpoint["port"], variables(name)["ROLLBOOK_METRICS_PORT"])]
        assert variables(name)["ROLLBOOK_METRICS_ADDRESS"] == "0.0.0.0"


class TestScaling:
    SCALED = of_kind("ScaledObject")

    @pytest.fixture
    def client(self, broker_url: str) -> Iterator[redis.Redis]:
        with connect_to_broker(broker_url) as client:
            yield client

    def test_the_list_that_is_measured_is_the_one_in_which_jobs_wait(
        self, broker_url: str, client: redis.Redis
    ) -> None:
        with Rollbook(broker_url=broker_url) as rb:
            rb.users.identify("ann", {})
            rb.users.bulk_identify([{"id": "bo"}])

        measured = {name: self.trigger(name)["metadata"]["listName"] for name in self.SCALED}
        assert {name: client.llen(key) for name, key in measured.items()} == {"default": 1, "bulk": 1}
        assert {key.decode() for key in client.scan_iter()} == set(measured.values())

    def test_each_queue_has_its_workers_and_one_is_always_there(self) -> None:
        assert sorted(self.SCALED) == sorted(QUEUES)
        for name, scaled in self.SCALED.items():
            assert scaled["spec"]["scaleTargetRef"] == {"name": f"rollbook-{name}"}
            # a list does not hold what workers have taken, so one that ends at an empty list ends with work in hand
            assert scaled["spec"]["minReplicaCount"] == 1

    def test_it_is_let_in_by_the_password_and_told_the_database(self) -> None:
        ((_, authentication),) = of_kind("TriggerAuthentication").items()
        (reference,) = authentication["spec"]["secretTargetRef"]

        assert reference["parameter"] == "password"
        assert reference["key"] in SECRETS[reference["name"]]
        for name in self.SCALED:
            assert self.trigger(name)["authenticationRef"] == {"name": authentication["metadata"]["name"]}
            address = f"{self.trigger(name)['metadata']['address']}/{self.trigger(name)['metadata']['databaseIndex']}"
            assert variables(name)["ROLLBOOK_BROKER_URL"].endswith(f"@{address}")

    def test_how_many_there_are_is_said_by_nobody_else(self) -> None:
        (patch,) = kustomization(FOLDER / "keda")["patches"]

        patched = [name for name in WORKLOADS if re.fullmatch(patch["target"]["name"], f"rollbook-{name}")]
        assert sorted(patched) == sorted(self.SCALED)
        assert yaml.safe_load(patch["patch"]) == [{"op": "remove", "path": "/spec/replicas"}]

    def trigger(self, name: str) -> Document:
        only: Document
        (only,) = self.SCALED[name]["spec"]["triggers"]
        return only


@pytest.fixture(scope="module")
def built() -> dict[str, list[Document]]:
    """What `kubectl apply -k` would send; it needs no cluster for this."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    version = subprocess.run(["kubectl", "version", "--client", "--output=json"], capture_output=True, check=False)
    if b"kustomizeVersion" not in version.stdout:
        pytest.skip("kubectl is too old: its kustomize knows no components")
    return {name: build(FOLDER / name) for name in ("base", "example")}


def build(folder: Path) -> list[Document]:
    done = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


class TestAsKubectlReadsThem:
    def test_the_example_has_all_of_the_base_and_the_components(self, built: dict[str, list[Document]]) -> None:
        kinds = sorted([each["kind"] for each in OBJECTS] + ["ConfigMap"])

        assert sorted(each["kind"] for each in built["example"]) == kinds
        assert {each["metadata"]["namespace"] for each in built["example"]} == {"rollbook"}

    def test_what_the_example_says_is_done(self, built: dict[str, list[Document]]) -> None:
        example = {(each["kind"], each["metadata"]["name"]): each for each in built["example"]}
        said = kustomization(FOLDER / "example")
        (image,) = said["images"]
        (address,) = yaml.safe_load(said["patches"][0]["patch"])

        pods = [each["spec"]["template"]["spec"] for each in built["example"] if "template" in each.get("spec", {})]
        assert {pod["containers"][0]["image"] for pod in pods} == {f"{image['newName']}:{image['newTag']}"}
        for name in QUEUES:
            assert "replicas" not in example["Deployment", f"rollbook-{name}"]["spec"]
            trigger = example["ScaledObject", f"rollbook-{name}"]["spec"]["triggers"][0]
            assert trigger["metadata"]["address"] == address["value"]

    def test_a_change_of_the_settings_makes_new_pods(self, built: dict[str, list[Document]]) -> None:
        base, example = (name_of_settings(built[name]) for name in ("base", "example"))

        assert base.startswith(f"{SETTINGS}-")
        assert base != example


def name_of_settings(built: list[Document]) -> str:
    """The name of the one ConfigMap, to which all refer."""
    (made,) = [each["metadata"]["name"] for each in built if each["kind"] == "ConfigMap"]
    used = {
        source["configMapRef"]["name"]
        for each in built
        if each["kind"] == "Deployment"
        for source in each["spec"]["template"]["spec"]["containers"][0]["envFrom"]
        if "configMapRef" in source
    }
    assert used == {made}
    return str(made)


def test_they_satisfy_the_schemas_of_kubernetes() -> None:
    # a hundred megabytes of them, so that it is no dependency
    validate = pytest.importorskip("kubernetes_validate", reason="pip install kubernetes-validate")
    newest = str(validate.latest_version())
    own = [each for each in OBJECTS if each["apiVersion"].split("/")[0] not in ("keda.sh", "monitoring.coreos.com")]

    for each in (*own, *documents(FOLDER / "secrets.example.yaml")):
        validate.validate(each, newest, strict=True)
    spoilt: Any = own[0] | {"speck": {}}
    with pytest.raises(validate.ValidationError):
        validate.validate(spoilt, newest, strict=True)
