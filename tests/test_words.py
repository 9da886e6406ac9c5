"""One word for one thing: retired words stay out of source, docs and tests, and no two classes share a name."""

from __future__ import annotations

import ast
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from tests.support.repository import ROOT

SEARCHED: Final = (
    "producer",
    "worker",
    "shared",
    "docs",
    "deploy",
    "examples",
    "tests",
    "benchmarks",
    "run",
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
)
BINARY: Final = (".png", ".woff2", ".ico")

RETIRED: Final = {
    "roll" + "call": "rollbook",
    "whoever|whomever|somebody|nobody": "name the component, the user or the row",
    "face|desk": "client",
    "heir|heirs": "primary",
    "tell|tells|telling|tellings|told": "send, set, receive; user update, trait",
    "sighting|sightings": "identify log",
    "refold|refolds|refolded|refolding": "recompute",
    "family|families": "identity cluster",
    "upkeep": "maintenance",
    "duty|duties": "periodic task",
    "bury|buries|buried": "dead-letter, make a dead letter of",
    r"(?<!dead )(?<!dead-)(?:letter|letters)": "dead letter",
    "hindered|hindrance|hindrances|hinders": "contention",
    "patience|patient|patiently": "timeout",
    "put off|puts off|putting off": "defer, snooze",
    "give back|gives back|given back|gave back|giving back|giveback|givebacks": "release",
    "let go|lets go|letting go": "release, close",
    "undecided|decided at": "unfinished, finished at",
    r"(?<!connection )refused": "rejected",
    "unite tokens|unite|unites|united": "merge",
    "wish|wishes": "preference set",
    "dawdle|dawdling|stumble|stumbles|stumbling": "slow, failing",
    "moment|moments": "time, timestamp, datetime",
    "gatherer": "batch scheduler",
    "rooms": "packages",
}
"""Pattern over words in lower case -> what to write in its place. `docs/glossary.md` has the meanings."""

ANY_RETIRED: Final = re.compile(rf"\b(?:{'|'.join(RETIRED)})\b")

ALLOWED: Final = {
    "docs/glossary.md": "lists the retired words",
    "tests/test_words.py": "lists them too",
}


FOREIGN: Final = {
    "MetricFamily": "classes of prometheus_client",
    "RestrictAddressFamilies": "an option of systemd",
    ".tell()": "the position of a file",
    '"nobody"': "the Unix account",
    '"refused"': "what the system says of a connection",
    "text_string_to_metric_families": "a function of prometheus_client",
    "@font-face": "a rule of CSS",
    "letter-spacing": "a property of CSS",
    "font-family": "a property of CSS",
}
"""Names of others that contain a retired word."""


def searched() -> Iterator[Path]:
    names = subprocess.run(
        ["git", "ls-files", "-z", *SEARCHED], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    for name in filter(None, names):
        if name not in ALLOWED and not name.endswith(BINARY):
            yield ROOT / name


def words_of(text: str) -> str:
    """Each line in lower case, with single spaces: `_dead_letters` and `DeadLetters` give `dead letters`."""
    for name in FOREIGN:
        text = text.replace(name, "")
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|_", " ", text)
    return re.sub(r"[^\S\n]+", " ", apart).lower()


def found_in(line: str) -> Iterator[str]:
    words = words_of(line)
    if not ANY_RETIRED.search(words):
        return
    for pattern, better in RETIRED.items():
        if match := re.search(rf"\b(?:{pattern})\b", words):
            yield f"{match.group()} (write: {better})"


def test_retired_words_stay_out() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {word}"
        for path in searched()
        for text in [path.read_text(encoding="utf-8")]
        if ANY_RETIRED.search(words_of(text))
        for number, line in enumerate(text.splitlines(), start=1)
        for word in found_in(line)
    ]

    assert found == []


@pytest.mark.parametrize(
    ("line", "is_found"),
    [
        ("def tell_skipped(cursor):", True),
        ("class LetterNotFound(LookupError):", True),
        ("class DeadLetterNotFound(LookupError):", False),
        ("a dead-letter code", False),
        ("Whoever sends it", True),
        ("Connection refused", False),
        ("the surface of an interface", False),
    ],
)
def test_retired_words_are_found_in_names_and_prose(line: str, is_found: bool) -> None:
    assert any(found_in(line)) == is_found


SHARED_CLASS_NAMES: Final = {
    "Request": "Celery's protocol: each layer of the request extends the one below under Celery's name",
    "Transport": "kombu names transports so",
}
"""Class name -> why more than one class has it."""


def classes() -> dict[str, list[str]]:
    homes: dict[str, list[str]] = defaultdict(list)
    for package in ("producer", "worker", "shared"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ClassDef):
                    homes[node.name].append(str(path.relative_to(ROOT)))
    return homes


def test_no_two_classes_share_a_name() -> None:
    shared = {name: homes for name, homes in classes().items() if len(homes) > 1 and name not in SHARED_CLASS_NAMES}

    assert shared == {}
