"""No command of the documentation, the deployment files or the examples puts a secret into its arguments, which every
user of the machine can read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import pytest
from tests.support.deploy.manifests import OBJECTS
from tests.support.deploy.systemd_units import FOLDER as UNITS
from tests.support.documentation import PAGES, commands
from tests.support.repository import ROOT
from tests.support.yaml_files import load_yaml

_SECRET: Final = re.compile(
    r"""(?<!\$)\$[({]?\w*(?:URL|PASSWORD|AUTH|SECRET|_KEY)\b  # a variable that holds one; $$ is the shell's, later
    | ://[^/\s@]*:[^/\s@]+@                                   # a URL with a password
    | \bPASSWORD\s+'                                          # in SQL
    | \bredis-cli\b.*\s(?:-a|-u|--pass)\s | --requirepass\s   # options of Redis' programs
    | --(?:basic[-_]auth|broker|password)[=\s]""",
    re.VERBOSE,
)
_BUILTINS: Final = ("export ", "read ")
"""Commands of the shell itself start no process."""
_ARGUMENTS: Final = ("command", "args", "test", "entrypoint", "exec")


def words_under(document: Any, names: tuple[str, ...]) -> Iterator[str]:
    """The commands in a document, each as one line."""
    match document:
        case dict():
            for name, value in document.items():
                if name in names and isinstance(value, (str, list)):
                    yield value if isinstance(value, str) else " ".join(map(str, value))
                else:
                    yield from words_under(value, names)
        case list():
            for item in document:
                yield from words_under(item, names)


DOCUMENTED: Final = [command for page in PAGES for command in commands(page) if not command.startswith(_BUILTINS)]
COMPOSE: Final = list(words_under(load_yaml((ROOT / "docker-compose.yml").read_text()), _ARGUMENTS))
KUBERNETES: Final = list(words_under(OBJECTS, _ARGUMENTS))
SYSTEMD: Final = [
    line
    for unit in sorted(UNITS.rglob("*"))
    if unit.is_file()
    for line in unit.read_text().replace("\\\n", " ").splitlines()
    if line.startswith("Exec")
]
OTHERS: Final = [
    line
    for path in [*(ROOT / "examples").glob("*.*"), ROOT / "deploy" / "roles.sql", ROOT / "deploy" / "Dockerfile"]
    for line in path.read_text().splitlines()
    if re.search(r"\b(psql|redis-cli|curl|CMD|CREATE ROLE|celery -)", line)
]


@pytest.mark.parametrize(
    "places",
    [DOCUMENTED, COMPOSE, KUBERNETES, SYSTEMD, OTHERS],
    ids=["docs", "compose", "kubernetes", "systemd", "others"],
)
def test_no_command_has_a_secret_in_its_arguments(places: list[str]) -> None:
    assert [line for line in places if _SECRET.search(line)] == []
    assert len(places) >= 3


@pytest.mark.parametrize(
    "line",
    [
        "psql -d $ROLLBOOK_DATABASE_URL -c 'SELECT 1'",
        'psql "${ROLLBOOK_DATABASE_URL}"',
        "redis-cli -u redis.example.com PING",
        "redis-cli -a s3cr3t PING",
        "psql service=rollbook -c \"CREATE ROLE app LOGIN PASSWORD 'x'\"",
        "curl http://ann:s3cr3t@example.com/",
        "celery flower --basic_auth=$FLOWER_BASIC_AUTH",
        "redis-server --requirepass ${REDIS_PASSWORD:-rollbook}",
        "celery --broker=redis://",
    ],
)
def test_the_search_finds_secrets(line: str) -> None:
    assert _SECRET.search(line)
