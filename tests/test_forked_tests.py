"""Tests in several processes: each runs once and is reported, whatever becomes of its process."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from tests.support.repository import ROOT
from tests.support.waits import DEADLINE_SECONDS, wait_until

CONFTEST = """
import os
from pathlib import Path
import pytest
from tests.support import forked_tests

def pytest_addoption(parser):
    forked_tests.add_option(parser)

def pytest_configure(config):
    config.pluginmanager.register(forked_tests)

def note(text):
    with open(Path(__file__).with_name("notes"), "a") as notes:
        notes.write(text + "\\n")

@pytest.fixture(scope="session")
def server():
    note(f"server {os.getpid()} starts")
    yield
    note(f"server {os.getpid()} ends")

@pytest.fixture(scope="module")
def database(server, request):
    note(f"database of {request.module.__name__} starts")
    yield
    note(f"database of {request.module.__name__} ends")

@pytest.fixture(autouse=True)
def noted(request, database):
    note(request.node.nodeid)
"""


def run(folder: Path, *options: str, **files: str) -> tuple[int, str, list[str]]:
    """The status, the output and the notes of a run of these tests in two processes."""
    process = start(folder, *options, **files)
    output, _ = process.communicate(timeout=DEADLINE_SECONDS)
    return process.returncode, output, notes(folder)


def start(folder: Path, *options: str, **files: str) -> subprocess.Popen[str]:
    (folder / "conftest.py").write_text(CONFTEST)
    for name, text in files.items():
        (folder / f"test_{name}.py").write_text(text)
    command = [sys.executable, "-m", "pytest", "--processes", "2", "-p", "no:cacheprovider", f"--rootdir={folder}"]
    return subprocess.Popen(
        [*command, "--import-mode=importlib", *options, folder],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def notes(folder: Path) -> list[str]:
    return (folder / "notes").read_text().splitlines()


PASSING = "import pytest\n@pytest.mark.parametrize('n', range(3))\ndef test_it(n): print('heard')\n"


def test_every_test_runs_once_and_every_fixture_ends(tmp_path: Path) -> None:
    status, output, noted = run(tmp_path, a=PASSING, b=PASSING, c=PASSING)

    assert (status, "9 passed" in output) == (0, True), output
    assert "heard" not in output
    times = Counter(noted)
    assert {name: times[name] for name in times if "::" in name} == {
        f"test_{file}.py::test_it[{n}]": 1 for file in "abc" for n in range(3)
    }
    assert all(times[f"database of test_{file} {what}"] == 1 for file in "abc" for what in ("starts", "ends"))
    servers = {name.split()[1] for name in times if name.startswith("server")}
    assert 1 <= len(servers) <= 2
    assert all(times[f"server {pid} {what}"] == 1 for pid in servers for what in ("starts", "ends"))


def test_a_file_is_run_by_one_process_and_its_fixtures_end_with_it(tmp_path: Path) -> None:
    _, _, noted = run(tmp_path, a=PASSING, b=PASSING, c=PASSING)

    for file in "abc":
        own = [note for note in noted if f"test_{file}" in note]
        tests = [f"test_{file}.py::test_it[{n}]" for n in range(3)]
        assert own == [f"database of test_{file} starts", *tests, f"database of test_{file} ends"]


def test_a_failure_is_shown_with_what_it_printed(tmp_path: Path) -> None:
    status, output, _ = run(tmp_path, a="def test_it(): print('said'); assert 1 == 2", b=PASSING)

    assert status == 1
    assert "said" in output
    assert "assert 1 == 2" in output
    assert "1 failed, 3 passed" in output


def test_warnings_are_shown(tmp_path: Path) -> None:
    _, output, _ = run(tmp_path, a="import warnings\ndef test_it(): warnings.warn('beware')", b=PASSING)

    assert "beware" in output
    assert "1 warning" in output


def test_a_test_that_ends_its_process_has_failed_and_the_others_of_its_file_run(tmp_path: Path) -> None:
    deadly = "import os\ndef test_one(): pass\ndef test_two(): os._exit(3)\ndef test_three(): pass\n"

    status, output, noted = run(tmp_path, a=deadly, b=PASSING)

    assert status == 1
    assert "1 failed, 5 passed" in output
    assert "its process has ended with status 3" in output
    assert "test_a.py::test_three" in noted


def test_fixtures_of_the_session_that_cannot_end_are_an_error(tmp_path: Path) -> None:
    broken = (
        "import pytest\n@pytest.fixture(scope='session')\ndef broken():\n    yield\n    raise OSError('no end')\n"
        "def test_it(broken): pass\n"
    )

    status, output, _ = run(tmp_path, a=broken, b=PASSING)

    assert status == 1
    assert re.search("4 passed.* 1 error", output)
    assert "no end" in output


def test_no_test_is_begun_after_the_first_failure_if_that_is_asked_for(tmp_path: Path) -> None:
    failing = "import pytest\n@pytest.mark.parametrize('n', range(300))\ndef test_it(n): assert False"

    status, output, noted = run(tmp_path, "-x", a=failing)

    assert status == 1
    assert "1 failed" in output
    assert len([note for note in noted if "::" in note]) < 300
    assert noted[-1].startswith("server")
    assert noted[-1].endswith("ends")


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGKILL])
def test_what_is_interrupted_ends_its_fixtures(tmp_path: Path, by: signal.Signals) -> None:
    waiting = "from pathlib import Path\ndef test_it():\n    while not Path('FOLDER/go').exists(): pass\n"
    run_ = start(tmp_path, a=waiting.replace("FOLDER", str(tmp_path)), b=PASSING)
    wait_until(lambda: (tmp_path / "notes").exists() and "test_a.py::test_it" in notes(tmp_path), what="the test")

    run_.send_signal(by)
    if by == signal.SIGKILL:
        (tmp_path / "go").touch()

    wait_until(lambda: all_have_ended(notes(tmp_path)), what="the end of the fixtures")
    output, _ = run_.communicate(timeout=DEADLINE_SECONDS)
    assert run_.returncode == (2 if by == signal.SIGINT else -signal.SIGKILL), output


def all_have_ended(noted: list[str]) -> bool:
    started = [note.removesuffix("starts") for note in noted if note.endswith("starts")]
    return all(f"{name}ends" in noted for name in started)
