"""What mkdocs does while it builds: fill in what follows from the code, and link words to the glossary."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from docs.site.generators import (
    benchmarks,
    cli,
    dead_letter_codes,
    errors,
    figures,
    glossary,
    job_format,
    licences,
    limits,
    metrics,
    senders,
    settings,
    sql,
    templates,
)
from docs.site.generators.source import ROOT
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

GENERATED: Final[Mapping[str, Callable[[], str]]] = {
    "benchmarks": benchmarks.page,
    "cli": cli.page,
    "channel options": senders.options,
    "dead-letter codes": dead_letter_codes.page,
    "delivery example": senders.example,
    "delivery schema": senders.schema_page,
    "error classes": errors.classes,
    "errors": errors.page,
    "figures": figures.page,
    "job format": job_format.page,
    "licences": licences.page,
    "limits": limits.page,
    "metrics": metrics.page,
    "settings": settings.page,
    "sql tables": sql.internal_tables,
    "sql views": sql.views,
    "template bounds": templates.bounds,
    "template filters": templates.filters,
}
"""What may stand in a page as `<!-- generated: NAME -->`, and what is put there."""
_FILE: Final = re.compile(r"^<!-- file: ([\w./-]+) -->$", re.MULTILINE)
_MARKER: Final = re.compile(r"^<!-- generated: ([\w -]+) -->$", re.MULTILINE)
_LANGUAGES: Final[Mapping[str, str]] = {".py": "python", ".mjs": "js", ".go": "go", ".rb": "ruby", ".php": "php"}
_PICTURES: Final = (ROOT / "benchmarks" / "results" / "rates.svg",)


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pictures that are kept elsewhere, because a program draws them."""
    for picture in _PICTURES:
        files.append(File.generated(config, f"pictures/{picture.name}", abs_src_path=str(picture)))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    """Fill in what is generated."""
    if page.file.src_uri == "glossary.md":
        markdown = glossary.with_anchors(markdown)
    markdown = _FILE.sub(_shown_file, markdown)
    return _MARKER.sub(lambda found: GENERATED[found[1]](), markdown)


def _shown_file(found: re.Match[str]) -> str:
    file = ROOT / found[1]
    return f"```{_LANGUAGES[file.suffix]}\n{file.read_text()}```"


def on_page_content(html: str, *, page: Page, **_: Any) -> str:
    """Link the first mention of each word of the glossary to it."""
    if page.file.src_uri.startswith(("glossary", "reference/")):
        return html
    to_glossary = "../" * page.file.src_uri.count("/") + "glossary.html"
    return glossary.linked(html, to_glossary, Path(ROOT / "docs" / "glossary.md").read_text())
