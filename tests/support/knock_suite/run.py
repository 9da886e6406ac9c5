"""Run Knock's own tests of its Python SDK against `rollbook serve`, beside real workers.

`./run knock-suite [ARGS]`: ARGS go to pytest. The tests ship in the source archive of `knockapi` on the package index;
the archive and an environment for them are kept in `build/knock-suite`, and nothing of them belongs to this project.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Final

from rollbook_ops.devstack.endpoint import LOOPBACK, free_port
from rollbook_ops.devstack.exit_watch import last_lines
from rollbook_ops.devstack.http_server import http_server_is_healthy
from rollbook_ops.devstack.stack import LocalStack

ROOT: Final = Path(__file__).parents[3]
HOME: Final = ROOT / "build" / "knock-suite"
PLUGIN: Final = Path(__file__).parent / "plugin"
REQUIREMENTS: Final = ("pytest", "pytest-asyncio", "respx", "time-machine", "dirty-equals", "aiohttp", "httpx-aiohttp")
REGISTRY: Final = """
[channels."182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e"]
type = "push"
provider = "fcm"

[workflows.key]
channels = ["in_app", "182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e"]
"""


def main(arguments: list[str]) -> int:
    locked = locked_requirement((ROOT / "requirements.lock").read_text())
    python, tests = prepare(locked)
    with tempfile.TemporaryDirectory(prefix="knock-suite") as name:
        registry = Path(name) / "registry.toml"
        registry.write_text(REGISTRY)
        os.environ["ROLLBOOK_SECRET_KEYS"] = "My API Key"
        os.environ["ROLLBOOK_REGISTRY"] = str(registry)
        port = free_port()
        url = f"http://{LOOPBACK}:{port}"
        with LocalStack(flower=False, durable=False, report=say) as stack:
            command = [sys.executable, "-m", "rollbook_ops.cli", "serve", "--port", str(port)]
            server, log = stack.spawn("http-server", command)
            while not http_server_is_healthy(url):
                if server.poll() is not None:
                    sys.exit(f"knock-suite: the server ended:\n{last_lines(log)}")
            say(f"the tests of {locked.partition(' ')[0]} run against {url}")
            return run_tests(python, tests, url, arguments)


def locked_requirement(lock: str) -> str:
    """The version of `knockapi` in the lock, with the hashes of its archives."""
    found = re.search(r"^knockapi==.*(?:\n    .*)*", lock, re.MULTILINE)
    assert found is not None
    return found[0] + "\n"


def prepare(locked: str) -> tuple[Path, Path]:
    """Install an environment and unpack the archive, once for each version; return its Python and the tests."""
    version = locked.partition(" ")[0].partition("==")[2]
    python, source = HOME / "venv" / "bin" / "python", HOME / f"knockapi-{version}"
    stamp = HOME / f"installed-{version}"
    if not stamp.exists():
        say("installing what Knock's tests need (once for each version)")
        shutil.rmtree(HOME, ignore_errors=True)
        HOME.mkdir(parents=True)
        requirement = HOME / "requirements.txt"
        requirement.write_text(locked)
        needed = [*REQUIREMENTS, f"knockapi=={version}", "pip"]
        if uv := shutil.which("uv"):
            subprocess.run([uv, "venv", "--quiet", "--no-project", HOME / "venv"], check=True)
            subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *needed], check=True)
        else:
            subprocess.run([sys.executable, "-m", "venv", HOME / "venv"], check=True)
            subprocess.run([python, "-m", "pip", "install", "--quiet", *needed], check=True)
        # Verified by its hash; from source, because only that has the tests.
        source_only: list[str | Path] = [
            "--require-hashes",
            "--no-deps",
            "--no-binary",
            "knockapi",
            "--dest",
            HOME,
            "-r",
        ]
        subprocess.run([python, "-m", "pip", "download", "--quiet", *source_only, requirement], check=True)
        with tarfile.open(HOME / f"knockapi-{version}.tar.gz") as archive:
            archive.extractall(HOME, filter="data")
        stamp.touch()
    return python, source


def run_tests(python: Path, tests: Path, url: str, arguments: list[str]) -> int:
    settings = ["-o", "addopts=", "-o", "filterwarnings=default", "-p", "knock_suite_plugin", "-q", "--tb=short"]
    command: list[str | Path] = [python, "-m", "pytest", *settings, "tests/api_resources", *arguments]
    environment = {**os.environ, "TEST_API_BASE_URL": url, "PYTHONPATH": str(PLUGIN)}
    return subprocess.run(command, cwd=tests, env=environment).returncode


def say(text: str) -> None:
    print(f"knock-suite: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
