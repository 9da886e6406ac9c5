"""The manifests in deploy/kubernetes start every process, with what each needs and no more."""

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
WITH_HEALTH_FILE = [name for name in LASTING if name != "flower"]


def test_each_process_has_a_workload() -> None:
    assert sorted(of_kind("Deployment")) == sorted(LASTING)
    assert list(of_kind("Job")) == ["migrate"]


@pytest.mark.parametrize("name", PROCESSES)
def test_each_workload_starts_its_process(name: str) -> None:
    assert meaning(container(name)["command"]) == meaning(PROCESSES[name])
    assert container(name)["image"] == "rollbook"


def test_each_file_is_in_a_kustomization() -> None:
    for folder in (BASE, *(FOLDER / name for name in COMPONENTS)):
        listed = {*kustomization(folder)["resources"], "kustomization.yaml"}
        assert {path.name for path in folder.iterdir()} == listed
    assert {path.name for path in FOLDER.iterdir()} == {"base", "example", "secrets.example.yaml", *COMPONENTS}


def test_only_the_example_has_a_namespace() -> None:
    assert [each["metadata"]["name"] for each in OBJECTS if "namespace" in each["metadata"]] == []
    assert "namespace" not in kustomization(BASE)
    assert kustomization(FOLDER / "example")["namespace"]


def test_selectors_match_their_pods() -> None:
    for name, workload in WORKLOADS.items():
        labels = NAMED | {COMPONENT: name}
        assert workload["metadata"]["labels"] == workload["spec"]["template"]["metadata"]["labels"] == labels
        assert workload["kind"] == "Job" or workload["spec"]["selector"]["matchLabels"] == labels
    for name, budget in of_kind("PodDisruptionBudget").items():
        assert budget["spec"]["selector"]["matchLabels"] == NAMED | {COMPONENT: name}
    assert all(NAMED.items() <= each["metadata"]["labels"].items() for each in OBJECTS)


class TestEnvironment:
    @pytest.mark.parametrize("name", PROCESSES)
    def test_each_workload_has_the_variables_it_needs(self, name: str) -> None:
        secret = variables(name).keys() - settings().keys()

        assert secret == NEEDED[name]
        assert variables(name).keys() <= known_variables()

    def test_each_secret_is_used_by_a_workload(self) -> None:
        variables_and_secrets = {
            source["secretRef"]["name"]
            for name in WORKLOADS
            for source in container(name)["envFrom"]
            if "secretRef" in source
        }
        (authentication,) = of_kind("TriggerAuthentication").values()
        variables_and_secrets |= {reference["name"] for reference in authentication["spec"]["secretTargetRef"]}

        assert variables_and_secrets == set(SECRETS)

    @pytest.mark.parametrize("name", SECRETS)
    def test_the_example_contains_no_secret(self, name: str) -> None:
        assert [value for value in SECRETS[name].values() if "CHANGE-ME" not in value] == []

    @pytest.mark.parametrize("name", PROCESSES)
    def test_services_of_the_namespace_are_not_injected_as_settings(self, name: str) -> None:
        assert pod(name)["enableServiceLinks"] is False


class TestHealth:
    @pytest.mark.parametrize("name", WITH_HEALTH_FILE)
    def test_probes_use_our_command_and_restart_only_a_hanging_process(self, name: str) -> None:
        probes = {sort: container(name)[f"{sort}Probe"] for sort in ("startup", "liveness", "readiness")}

        asked = {sort: probe["exec"]["command"] for sort, probe in probes.items()}
        assert asked == {"startup": [*HEALTHY], "liveness": [*HEALTHY], "readiness": [*HEALTHY, "--ready"]}
        assert all(probe["timeoutSeconds"] == 5 for probe in probes.values())

    @pytest.mark.parametrize("name", WITH_HEALTH_FILE)
    def test_each_pod_may_write_its_health_file(self, name: str) -> None:
        (mount,) = container(name)["volumeMounts"]
        (volume,) = pod(name)["volumes"]

        assert Path(variables(name)["ROLLBOOK_HEALTH_FILE"]).parent == Path(mount["mountPath"])
        assert volume["name"] == mount["name"]
        assert volume["emptyDir"]["medium"] == "Memory"

    def test_flower_has_the_probe_of_compose(self) -> None:
        _, *command = OURS["flower"]["healthcheck"]["test"]

        assert container("flower")["livenessProbe"]["exec"]["command"] == command
        assert container("flower")["startupProbe"]["exec"]["command"] == command

    @pytest.mark.parametrize("name", LASTING)
    def test_each_pod_has_time_to_finish_its_last_batch(self, name: str) -> None:
        default = Settings()
        longest = default.lock_timeout + default.statement_timeout

        assert pod(name)["terminationGracePeriodSeconds"] >= longest.total_seconds() + 5


class TestConfinement:
    @pytest.mark.parametrize("name", PROCESSES)
    def test_no_pod_is_root_or_writes_into_the_image(self, name: str) -> None:
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
    def test_memory_limits_are_those_of_compose(self, name: str) -> None:
        limit = container(name)["resources"]["limits"]["memory"].removesuffix("i")

        assert limit == OURS[name]["deploy"]["resources"]["limits"]["memory"]

    def test_the_network_policy_allows_only_metrics(self) -> None:
        (policy,) = of_kind("NetworkPolicy").values()

        assert policy["spec"]["podSelector"] == {"matchLabels": NAMED}
        assert [rule["ports"] for rule in policy["spec"]["ingress"]] == [[{"port": "metrics"}]]
        assert "--address=127.0.0.1" in container("flower")["command"]

    @pytest.mark.parametrize("name", WITH_HEALTH_FILE)
    def test_metrics_are_scraped_from_their_ports(self, name: str) -> None:
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

    def test_the_scaler_measures_the_queue(self, broker_url: str, client: redis.Redis) -> None:
        with Rollbook(broker_url=broker_url) as rb:
            rb.users.identify("ann", {})
            rb.users.bulk_identify([{"id": "bo"}])

        measured = {name: self.trigger(name)["metadata"]["listName"] for name in self.SCALED}
        assert {name: client.llen(key) for name, key in measured.items()} == {"default": 1, "bulk": 1}
        assert {key.decode() for key in client.scan_iter()} == set(measured.values())

    def test_each_queue_has_a_worker_at_least(self) -> None:
        assert sorted(self.SCALED) == sorted(QUEUES)
        for name, scaled in self.SCALED.items():
            assert scaled["spec"]["scaleTargetRef"] == {"name": f"rollbook-{name}"}
            # a list does not hold what workers have taken, so one that ends at an empty list ends with work in hand
            assert scaled["spec"]["minReplicaCount"] == 1

    def test_the_scaler_has_the_password_and_the_database(self) -> None:
        ((_, authentication),) = of_kind("TriggerAuthentication").items()
        (reference,) = authentication["spec"]["secretTargetRef"]

        assert reference["parameter"] == "password"
        assert reference["key"] in SECRETS[reference["name"]]
        for name in self.SCALED:
            assert self.trigger(name)["authenticationRef"] == {"name": authentication["metadata"]["name"]}
            address = f"{self.trigger(name)['metadata']['address']}/{self.trigger(name)['metadata']['databaseIndex']}"
            assert variables(name)["ROLLBOOK_BROKER_URL"].endswith(f"@{address}")

    def test_only_the_scaler_sets_replicas(self) -> None:
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
    def test_the_example_contains_the_base_and_all_components(self, built: dict[str, list[Document]]) -> None:
        kinds = sorted([each["kind"] for each in OBJECTS] + ["ConfigMap"])

        assert sorted(each["kind"] for each in built["example"]) == kinds
        assert {each["metadata"]["namespace"] for each in built["example"]} == {"rollbook"}

    def test_the_patches_of_the_example_apply(self, built: dict[str, list[Document]]) -> None:
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

    def test_a_changed_setting_restarts_the_pods(self, built: dict[str, list[Document]]) -> None:
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


def test_manifests_match_the_schemas_of_kubernetes() -> None:
    # a hundred megabytes of them, so that it is no dependency
    validate = pytest.importorskip("kubernetes_validate", reason="pip install kubernetes-validate")
    newest = str(validate.latest_version())
    own = [each for each in OBJECTS if each["apiVersion"].split("/")[0] not in ("keda.sh", "monitoring.coreos.com")]

    for each in (*own, *documents(FOLDER / "secrets.example.yaml")):
        validate.validate(each, newest, strict=True)
    spoilt: Any = own[0] | {"speck": {}}
    with pytest.raises(validate.ValidationError):
        validate.validate(spoilt, newest, strict=True)
