"""The units in deploy/systemd start every process, with what each needs and no more."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.deploy.compose_file import OURS, seconds
from tests.support.deploy.manifests import SECRETS
from tests.support.deploy.process_commands import LASTING, OVER_HTTP, PROCESSES, meaning
from tests.support.deploy.systemd_units import FOLDER, HOME, PROCESS_OF, SANDBOX, read, variables_of
from tests.support.repository import ROOT, known_variables

from rollbook_shared.settings import Settings

LASTING_UNITS = [name for name in PROCESS_OF if PROCESS_OF[name] in LASTING]
WITH_HEALTH_FILE = [name for name in LASTING_UNITS if PROCESS_OF[name] not in OVER_HTTP]
WITH_METRICS = [name for name in LASTING_UNITS if PROCESS_OF[name] != "flower"]
FILES = sorted(path.name for path in (FOLDER / "etc").iterdir())


def test_each_process_has_a_unit() -> None:
    assert sorted(PROCESS_OF.values()) == sorted(PROCESSES)


@pytest.mark.parametrize("name", PROCESS_OF)
def test_each_unit_starts_its_process(name: str) -> None:
    assert read(name).value("Service.ExecStart").startswith(f"{HOME}/bin/")
    assert meaning(read(name).command) == meaning(PROCESSES[PROCESS_OF[name]])


@pytest.mark.parametrize("name", PROCESS_OF)
def test_each_unit_has_its_own_account_and_limits(name: str) -> None:
    unit, compose = read(name), OURS[PROCESS_OF[name]]["deploy"]["resources"]["limits"]

    assert unit.value("Service.DynamicUser") == "yes"
    assert unit.value("Service.MemoryMax") == compose["memory"]
    assert unit.value("Service.TasksMax") == str(compose["pids"])


@pytest.mark.parametrize("name", LASTING_UNITS)
def test_each_service_restarts_and_belongs_to_the_target(name: str) -> None:
    unit = read(name)

    assert unit.value("Service.Restart") == "always"
    assert unit.value("Unit.StartLimitIntervalSec") == "0"
    assert unit.value("Unit.PartOf") == unit.value("Install.WantedBy") == "rollbook.target"


@pytest.mark.parametrize("name", WITH_METRICS)
def test_each_unit_has_time_to_finish_its_last_batch(name: str) -> None:
    default = Settings()
    longest = default.lock_timeout + default.statement_timeout

    assert seconds(read(name).value("Service.TimeoutStopSec") + "s") >= longest.total_seconds() + 5


@pytest.mark.parametrize("name", WITH_HEALTH_FILE)
def test_each_unit_may_write_its_health_file(name: str) -> None:
    unit = read(name)

    assert unit.variables["ROLLBOOK_HEALTH_FILE"] == f"/run/{unit.value('Service.RuntimeDirectory')}/health"


def test_each_unit_has_its_own_metrics_port() -> None:
    instances = [(name, str(n)) for name in WITH_METRICS for n in (range(1, 10) if "@" in name else (0,))]
    ports = [int(read(*each).variables["ROLLBOOK_METRICS_PORT"]) for each in instances]

    assert len(set(ports)) == len(ports)
    assert all(1024 < port < 32768 for port in ports)


@pytest.mark.parametrize("name", PROCESS_OF)
def test_each_unit_has_the_variables_of_compose(name: str) -> None:
    own = [file for file in read(name).files if not file.startswith("-")]
    (file,) = own

    process = PROCESS_OF[name]
    sort = process if process in ("relay", "sender", "server", "flower", "migrate") else "worker"
    assert file == f"/etc/rollbook/{sort}.env"
    assert variables_of(FOLDER / "etc" / f"{sort}.env").keys() == SECRETS[f"rollbook-{sort}"].keys()
    assert set(read(name).variables) <= known_variables()


def test_environment_files_and_units_match() -> None:
    named = {Path(file.removeprefix("-")).name for name in PROCESS_OF for file in read(name).files}

    assert named == set(FILES)
    assert {variable for file in FILES for variable in variables_of(FOLDER / "etc" / file)} <= known_variables()


@pytest.mark.parametrize("name", FILES)
def test_units_contain_no_secret(name: str) -> None:
    given = variables_of(FOLDER / "etc" / name).values()
    secrets = [value for value in given if "CHANGE-ME" not in value and not value.startswith("/etc/rollbook/")]

    assert secrets == []


def test_the_page_installs_the_registry_where_all_units_look_for_it() -> None:
    settings = variables_of(FOLDER / "etc" / "settings.env")
    page = (ROOT / "docs" / "how-to" / "systemd.md").read_text()

    assert settings == {
        "ROLLBOOK_REGISTRY": "/etc/rollbook/registry.toml",
        "ROLLBOOK_TEMPLATES": "/etc/rollbook/templates",
    }
    assert "cp -r deploy/registry/* /etc/rollbook/" in page
    # each unit has an account of its own, which must be able to read it
    assert "install -d -m 755 /etc/rollbook" in page
    for name in PROCESS_OF:
        assert PROCESS_OF[name] in ("migrate", "flower") or "-/etc/rollbook/settings.env" in read(name).files


class TestAsSystemdReadsThem:
    @pytest.fixture
    def installed(self, tmp_path: Path) -> Path:
        """A folder with the units, for the programs of the virtualenv: those of the image are not there."""
        if shutil.which("systemd-analyze") is None:
            pytest.skip("systemd is not installed (Debian: apt-get install systemd)")
        for path in FOLDER.glob("rollbook*"):
            copy = shutil.copytree if path.is_dir() else shutil.copy
            copy(path, tmp_path / path.name)
        for unit in tmp_path.glob("*.service"):
            unit.write_text(unit.read_text().replace(HOME, sys.prefix))
        return tmp_path

    def analyze(self, installed: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        units = [installed / name.replace("@.", "@1.") for name in PROCESS_OF]
        return subprocess.run(
            ["systemd-analyze", *arguments, *units],
            env=os.environ | {"SYSTEMD_UNIT_PATH": f"{installed}:"},
            capture_output=True,
            text=True,
            check=False,
        )

    def test_systemd_analyze_finds_no_error(self, installed: Path) -> None:
        done = self.analyze(installed, "verify", "--man=no")

        assert (done.stdout + done.stderr, done.returncode) == ("", 0)

    def test_systemd_analyze_finds_an_unknown_setting(self, installed: Path) -> None:
        with (installed / SANDBOX).open("a") as sandbox:
            sandbox.write("ProtectEverything=yes\n")

        assert "ProtectEverything" in self.analyze(installed, "verify", "--man=no").stderr

    def test_systemd_analyze_rates_the_sandbox_as_safe(self, installed: Path) -> None:
        confined = ("security", "--offline=yes", "--no-pager", "--threshold=15")  # of 100, which is as bad as can be

        assert self.analyze(installed, *confined).returncode == 0
        (installed / SANDBOX).unlink()
        assert self.analyze(installed, *confined).returncode != 0
