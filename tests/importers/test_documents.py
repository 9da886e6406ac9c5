"""JSON documents in any layout: where each ends, and which documents a broken one costs."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from rollbook_ops.file_format import NotImportable
from rollbook_ops.importers.documents import Document, read_documents
from rollbook_ops.importers.lines import FilePosition


def read(text: str | bytes, start: FilePosition | None = None) -> list[Document]:
    data = text if isinstance(text, bytes) else text.encode()
    return list(read_documents(io.BytesIO(data), start or FilePosition()))


def values(text: str | bytes) -> list[Any]:
    return [document.error or document.value for document in read(text)]


ONE, TWO = {"id": "u1", "tags": ["a", {"b": "}"}]}, {"id": "u2", "address": {"city": "Bern\n"}}


@pytest.mark.parametrize(
    "text",
    [
        f"{json.dumps(ONE)}\n{json.dumps(TWO)}\n",
        f"{json.dumps(ONE)}\r\n\r\n{json.dumps(TWO)}",
        f"\ufeff{json.dumps(ONE, indent=2)}\n{json.dumps(TWO, indent=4)}\n",
        f"{json.dumps(ONE)}\n\n{json.dumps(TWO, indent=1)}\n",
    ],
)
def test_documents_may_have_any_layout(text: str) -> None:
    assert values(text) == [ONE, TWO]


@pytest.mark.parametrize("indent", [None, 2])
def test_a_list_is_one_document(indent: int | None) -> None:
    assert values(json.dumps([ONE, TWO], indent=indent)) == [[ONE, TWO]]


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ("nonsense", "is not JSON"),
        ('{"id": "u1", nonsense}', "is not JSON"),
        ('{"id": "u1', "is not JSON: it does not end"),
        ('{"id": "u1"', "is not JSON: it does not end"),
        ('{"id": "u1", "address": {"city": "Bern"}', "is not JSON: it does not end"),
        ('{\n  "id": "u1",\n  "address": {', "is not JSON: it does not end"),
        ('{"id": "u1", "tags": ["a"', "is not JSON: it does not end"),
        ('{"id": "u1", "tags": ["a"}', "is not JSON"),
        ('{\n  "id": "u1",,\n}', "is not JSON"),
        (b'{"id": "\xff"}', "is not UTF-8"),
    ],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_a_broken_document_costs_only_itself(broken: str | bytes, why: str, indent: int | None) -> None:
    data = broken if isinstance(broken, bytes) else broken.encode()

    assert values(data + b"\n" + json.dumps(TWO, indent=indent).encode()) == [why, TWO]


def test_a_document_cut_off_in_a_list_costs_at_most_the_next_one() -> None:
    text = f'{{"id": "u1", "tags": [\n{json.dumps(TWO)}\n{json.dumps(ONE)}\n'

    assert values(text) == ["is not JSON: it does not end", ONE]


@pytest.mark.parametrize(
    "text",
    [
        f"[\n{json.dumps(ONE)},\n{json.dumps(TWO)}\n]\n",
        f"[{json.dumps(ONE)},\n {json.dumps(TWO)}]\n",
        json.dumps([ONE, TWO], indent=0),
    ],
)
def test_a_list_is_one_document_in_any_layout(text: str) -> None:
    assert values(text) == [[ONE, TWO]]


def test_a_file_that_is_cut_off_is_reported() -> None:
    (cut,) = read(json.dumps([ONE, TWO], indent=2)[:-1])

    assert cut.error == "is not JSON: it does not end"
    assert cut.begin == FilePosition()


def test_lines_are_counted_as_editors_do() -> None:
    documents = read(f"\n{json.dumps(ONE, indent=2)}\n\n{json.dumps(TWO)}\n")

    assert [document.begin.line + 1 for document in documents] == [2, 12]


def test_reading_continues_after_any_document() -> None:
    text = f'{json.dumps(ONE, indent=2)}\nnonsense\n\n{json.dumps(TWO)}\n{{"é": 1}}'
    whole = read(text)

    for number, document in enumerate(whole):
        assert read(text, document.end) == whole[number + 1 :]


def test_a_document_that_is_too_large_is_rejected_with_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rollbook_ops.importers.documents.MAX_DOCUMENT", 1024 * 1024)
    large = {"note": "x" * 700_000}

    for indent in (None, 2):
        with pytest.raises(NotImportable, match=r"line 2 is larger than 1 MiB; write one object a line"):
            read("\n" + json.dumps([large, large], indent=indent))
