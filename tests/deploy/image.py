"""Do by hand what `docker build` does, where there is no Docker: python -m tests.deploy.image

Each COPY, RUN and ENV of deploy/Dockerfile's first stage is done in a temporary folder that stands for the root of the
image, seeing of the repository only what deploy/Dockerfile.dockerignore lets through; then each program that the image
is to run is asked for its help. Takes a minute or two, mostly for the network. The Python is the one at hand.
"""

from __future__ import annotations

import fnmatch
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.support.repository import ROOT

DOCKERFILE: Final = ROOT / "deploy" / "Dockerfile"
IGNORE: Final = ROOT / "deploy" / "Dockerfile.dockerignore"
HOME: Final = "/opt/rollbook"
ASKED: Final = (
    *("celery --app=rollbook_worker.app worker --help", "celery flower --help", "rollbook --help"),
    *("rollbook migrate --help", "rollbook relay --help", "rollbook doctor --help"),
    *("rollbook serve --help", "python -c 'import rollbook_server.serve, rollbook_server.observability.metrics'"),
    *(
        "rollbook deliver --help",
        "python -c 'import rollbook_delivery.process.main, rollbook_delivery.process.metrics'",
    ),
    "python -c 'import apprise, rollbook_delivery.senders.apprise, rollbook_delivery.senders.celery_task'",
    *("python -m rollbook_worker.health --help", "python -m rollbook_worker.migrations --print"),
)


def instructions(path: Path = DOCKERFILE) -> Iterator[tuple[str, str]]:
    """Each instruction and its arguments, lines joined, without comments."""
    text = "".join(line for line in path.read_text().splitlines(True) if not line.startswith("#"))
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip():
            word, _, rest = line.partition(" ")
            yield word, rest.strip()


def stages(path: Path = DOCKERFILE) -> list[list[tuple[str, str]]]:
    """The instructions of each stage, from its FROM."""
    found: list[list[tuple[str, str]]] = []
    for word, rest in instructions(path):
        if word == "FROM":
            found.append([])
        if found:
            found[-1].append((word, rest))
    return found


def is_sent(path: str) -> bool:
    """Whether the builder is sent this path of the repository; the last pattern that fits decides."""
    sent = True
    for pattern in IGNORE.read_text().split():
        wanted = pattern.removeprefix("!").removeprefix("**/")
        parts = [path, *map(str, Path(path).parents)] if "**/" not in pattern else [Path(path).name]
        if any(fnmatch.fnmatch(part, wanted) for part in parts):
            sent = pattern.startswith("!")
    return sent


def copied(arguments: str) -> tuple[list[str], str]:
    """What a COPY takes from the repository, and where to; nothing of one that takes from another stage."""
    *sources, target = [word for word in shlex.split(arguments) if not word.startswith("--")]
    return ([] if "--from=" in arguments else sources), target


def build(root: Path) -> None:
    """Make the first stage below `root`."""
    folder, environment = root, dict(os.environ)
    for word, rest in stages()[0]:
        print(f"{word} {rest}"[:110], flush=True)
        match word:
            case "WORKDIR":
                folder = root / rest.lstrip("/")
                folder.mkdir(parents=True)
            case "ENV":
                environment |= dict(pair.split("=", 1) for pair in shlex.split(rest))
            case "COPY":
                sources, target = copied(rest)
                for source in sources:
                    _copy(source, folder / target / (Path(source).name if target.endswith("/") else ""))
            case "RUN":
                command = re.sub(r"\bpython\b", shlex.quote(sys.executable), rest, count=1)
                command = command.replace(HOME, f"{root}{HOME}")
                subprocess.run(["sh", "-c", command], cwd=folder, env=environment, check=True)


def _copy(source: str, target: Path) -> None:
    if not is_sent(source):
        sys.exit(f"{source} is kept from the builder by {IGNORE.name}")
    target.parent.mkdir(parents=True, exist_ok=True)
    if (ROOT / source).is_dir():
        shutil.copytree(ROOT / source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(ROOT / source, target)


def ask(programs: Path) -> None:
    """Each program starts."""
    for line in ASKED:
        name, *arguments = shlex.split(line)
        done = subprocess.run(
            [programs / name, *arguments], cwd="/", env={"PATH": f"{programs}:/usr/bin:/bin"}, capture_output=True
        )
        print(f"{'ok' if done.returncode == 0 else 'FAILED':6} {line}", flush=True)
        if done.returncode:
            sys.exit(done.stderr.decode())


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="rollbook-image-") as folder:
        build(Path(folder))
        ask(Path(f"{folder}{HOME}/bin"))
        size = sum(path.stat().st_size for path in Path(f"{folder}{HOME}").rglob("*") if path.is_file())
        left = sorted(path.name for path in Path(f"{folder}{HOME}/bin").iterdir())
        print(f"{HOME}: {size / 2**20:.0f} MiB; programs: {' '.join(left)}")


if __name__ == "__main__":
    main()
