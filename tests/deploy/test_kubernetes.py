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
from tests.support.deploy.process_commands import HEALTHY, LASTING, OVER_HTTP, PROCESSES, meaning
from tests.support.repository import known_variables
from tests.support.yaml_files import load_all_yaml, load_yaml

from rollbook import Rollbook
from rollbook_delivery.senders.factory import make_sender
from rollbook_delivery.templates import Renderer
from rollbook_delivery.templates.check import check_templates
from rollbook_server.observability.readiness import ANSWER_SECONDS
from rollbook_server.serve import STOP_SECONDS
from rollbook_shared.jobs.celery_task import QUEUES
from rollbook_shared.registry import Registry, RegistryFile, parse_registry
from rollbook_shared.settings import Settings

COMPONENT = "app.kubernetes.io/component"
NAMED = {"app.kubernetes.io/name": "rollbook"}
NEEDED = {
    "migrate": {"ROLLBOOK_DATABASE_URL"},
    "flower": {"ROLLBOOK_BROKER_URL", "FLOWER_BASIC_AUTH"},
    "server": {"ROLLBOOK_DATABASE_URL", "ROLLBOOK_BROKER_URL", "ROLLBOOK_SECRET_KEYS"},
    "relay": {"ROLLBOOK_DATABASE_URL", "ROLLBOOK_BROKER_URL", "ROLLBOOK_OUTBOX_URL"},
    "sender": {"ROLLBOOK_DATABASE_URL", "ROLLBOOK_BROKER_URL"},
    **{
        name: {"ROLLBOOK_DATABASE_URL", "ROLLBOOK_BROKER_URL", "ROLLBOOK_ERASURE_KEY"}
        for name in ("default", "bulk", "maintenance")
    },
}
WITH_HEALTH_FILE = [name for name in LASTING if name not in OVER_HTTP]
WITH_METRICS = [name for name in LASTING if name != "flower"]


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


class TestRegistry:
    @pytest.mark.parametrize("name", ["default", "bulk", "maintenance", "server", "sender"])
    def test_each_pod_that_reads_the_registry_has_it_mounted(self, name: str) -> None:
        folder = Path(variables(name)["ROLLBOOK_REGISTRY"]).parent

        assert mounted_maps(name)[str(folder)] == "rollbook-registry"

    @pytest.mark.parametrize("name", ["sender", "server"])
    def test_what_renders_messages_has_the_templates_mounted(self, name: str) -> None:
        assert mounted_maps(name)[variables(name)["ROLLBOOK_TEMPLATES"]] == "rollbook-templates"

    def test_the_base_registers_nothing(self) -> None:
        generated = {each["name"]: each for each in kustomization(BASE)["configMapGenerator"]}
        (registry,) = generated["rollbook-registry"]["literals"]
        name, _, text = registry.partition("=")

        assert name == Path(settings()["ROLLBOOK_REGISTRY"]).name
        assert parse_registry(text) == Registry()


def mounted_maps(name: str) -> dict[str, str]:
    """Folder -> the ConfigMap whose files are there."""
    maps = {each["name"]: each["configMap"]["name"] for each in pod(name)["volumes"] if "configMap" in each}
    return {each["mountPath"]: maps[each["name"]] for each in container(name)["volumeMounts"] if each["name"] in maps}


class TestHealth:
    @pytest.mark.parametrize("name", WITH_HEALTH_FILE)
    def test_probes_use_our_command_and_restart_only_a_hanging_process(self, name: str) -> None:
        probes = {sort: container(name)[f"{sort}Probe"] for sort in ("startup", "liveness", "readiness")}

        asked = {sort: probe["exec"]["command"] for sort, probe in probes.items()}
        assert asked == {"startup": [*HEALTHY], "liveness": [*HEALTHY], "readiness": [*HEALTHY, "--ready"]}
        assert all(probe["timeoutSeconds"] == 5 for probe in probes.values())

    @pytest.mark.parametrize("name", WITH_HEALTH_FILE)
    def test_each_pod_may_write_its_health_file(self, name: str) -> None:
        mount, volume = container(name)["volumeMounts"][0], pod(name)["volumes"][0]

        assert Path(variables(name)["ROLLBOOK_HEALTH_FILE"]).parent == Path(mount["mountPath"])
        assert volume["name"] == mount["name"]
        assert volume["emptyDir"]["medium"] == "Memory"

    def test_flower_has_the_probe_of_compose(self) -> None:
        _, *command = OURS["flower"]["healthcheck"]["test"]

        assert container("flower")["livenessProbe"]["exec"]["command"] == command
        assert container("flower")["startupProbe"]["exec"]["command"] == command

    def test_the_server_is_asked_over_http_and_restarted_only_if_it_hangs(self) -> None:
        (listening,) = [port["containerPort"] for port in container("server")["ports"] if port["name"] == "http"]
        asked = {sort: container("server")[f"{sort}Probe"] for sort in ("startup", "liveness", "readiness")}

        assert f"--port={listening}" in container("server")["command"]
        assert {sort: probe["httpGet"] for sort, probe in asked.items()} == {
            "startup": {"path": "/healthz", "port": "http"},
            "liveness": {"path": "/healthz", "port": "http"},
            "readiness": {"path": "/readyz", "port": "http"},
        }
        assert all(probe["timeoutSeconds"] > ANSWER_SECONDS for probe in asked.values())

    def test_a_pod_of_the_server_goes_on_until_no_request_comes(self) -> None:
        (seconds,) = container("server")["lifecycle"]["preStop"]["exec"]["command"][1:]

        assert pod("server")["terminationGracePeriodSeconds"] >= int(seconds) + STOP_SECONDS + 5

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

    def test_network_policies_allow_only_metrics_and_requests_to_the_server(self) -> None:
        policies = of_kind("NetworkPolicy")
        allowed = {name: [rule["ports"] for rule in each["spec"]["ingress"]] for name, each in policies.items()}

        assert allowed == {"rollbook": [[{"port": "metrics"}]], "server": [[{"port": "http"}]]}
        selectors = {name: each["spec"]["podSelector"]["matchLabels"] for name, each in policies.items()}
        assert selectors == {"rollbook": NAMED, "server": NAMED | {COMPONENT: "server"}}
        assert "--address=127.0.0.1" in container("flower")["command"]

    def test_the_service_leads_to_the_server_and_not_to_its_metrics(self) -> None:
        ((name, service),) = of_kind("Service").items()

        assert name == "server"
        assert service["spec"]["selector"] == NAMED | {COMPONENT: "server"}
        assert [port["targetPort"] for port in service["spec"]["ports"]] == ["http"]

    @pytest.mark.parametrize("name", WITH_METRICS)
    def test_metrics_are_scraped_from_their_ports(self, name: str) -> None:
        (monitor,) = of_kind("PodMonitor").values()
        (endpoint,) = monitor["spec"]["podMetricsEndpoints"]

        ports = {port["name"]: str(port["containerPort"]) for port in container(name)["ports"]}
        assert ports.pop(endpoint["port"]) == variables(name)["ROLLBOOK_METRICS_PORT"]
        assert list(ports) == (["http"] if name == "server" else [])
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
        assert load_yaml(patch["patch"]) == [{"op": "remove", "path": "/spec/replicas"}]

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
    return list(load_all_yaml(done.stdout))


class TestAsKubectlReadsThem:
    def test_the_example_contains_the_base_and_all_components(self, built: dict[str, list[Document]]) -> None:
        kinds = sorted([each["kind"] for each in OBJECTS] + ["ConfigMap"] * 3)

        assert sorted(each["kind"] for each in built["example"]) == kinds
        assert {each["metadata"]["namespace"] for each in built["example"]} == {"rollbook"}

    def test_the_patches_of_the_example_apply(self, built: dict[str, list[Document]]) -> None:
        example = {(each["kind"], each["metadata"]["name"]): each for each in built["example"]}
        said = kustomization(FOLDER / "example")
        (image,) = said["images"]
        (address,) = load_yaml(said["patches"][0]["patch"])

        pods = [each["spec"]["template"]["spec"] for each in built["example"] if "template" in each.get("spec", {})]
        assert {pod["containers"][0]["image"] for pod in pods} == {f"{image['newName']}:{image['newTag']}"}
        for name in QUEUES:
            assert "replicas" not in example["Deployment", f"rollbook-{name}"]["spec"]
            trigger = example["ScaledObject", f"rollbook-{name}"]["spec"]["triggers"][0]
            assert trigger["metadata"]["address"] == address["value"]

    @pytest.mark.parametrize("name", ["sender", "server"])
    def test_the_pods_of_the_example_have_its_registry_and_its_templates(
        self, built: dict[str, list[Document]], tmp_path: Path, name: str
    ) -> None:
        """The files of its volumes as Kubernetes makes them, used by the code that reads them."""
        example = {(each["kind"], each["metadata"]["name"]): each for each in built["example"]}
        spec = example["Deployment", f"rollbook-{name}"]["spec"]["template"]["spec"]
        for volume in (each["configMap"] for each in spec["volumes"] if "configMap" in each):
            files = example["ConfigMap", volume["name"]]["data"]
            for item in volume.get("items") or [{"key": key, "path": key} for key in files]:
                (file := tmp_path / item["path"]).parent.mkdir(exist_ok=True)
                file.write_text(files[item["key"]])

        registry = RegistryFile(str(tmp_path / "registry.toml")).current
        templates = Renderer(tmp_path).templates

        assert make_sender(registry.channels["mail"], {"MAIL_PASSWORD": "CHANGE-ME"}) is not None
        assert list(templates.sources) == ["welcome/mail.html.liquid"]
        assert check_templates(templates, registry) == []

    def test_a_changed_setting_restarts_the_pods(self, built: dict[str, list[Document]]) -> None:
        base, example = (name_of_settings(built[name]) for name in ("base", "example"))

        assert base.startswith(f"{SETTINGS}-")
        assert base != example


def name_of_settings(built: list[Document]) -> str:
    """The name of the one ConfigMap, to which all refer."""
    names = [each["metadata"]["name"] for each in built if each["kind"] == "ConfigMap"]
    (made,) = [name for name in names if name.startswith(SETTINGS)]
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
