"""The templates that were in the folder at one time: which of them a message uses, and what they make of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from liquid.context import RenderContext
from liquid.environment import Environment
from liquid.exceptions import LiquidError, LiquidInterrupt, TemplateNotFoundError
from liquid.loader import BaseLoader, TemplateSource
from liquid.template import BoundTemplate

from rollbook_delivery.templates.delimiters import find_delimiter_problem
from rollbook_delivery.templates.errors import TemplateError
from rollbook_delivery.templates.failures import parse_problem, render_failure
from rollbook_delivery.templates.front_matter import HEADINGS, FrontMatter
from rollbook_delivery.templates.sandbox import BoundedEnvironment
from rollbook_delivery.templates.sources import SUFFIX, Source, SourceProblem

HTML: Final = "html"
TEXT: Final = "text"
DEFAULT: Final = "_default"
LAYOUTS: Final = "_layouts"
PARTIALS: Final = "_partials"
_SUFFIXES: Final[Mapping[str, str]] = {f".html{SUFFIX}": HTML, f".txt{SUFFIX}": TEXT, SUFFIX: TEXT}
"""Longest first."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a source belongs: its path without its ending, and whether it is HTML or text."""

    base: str
    format: str


def place_of(name: str) -> Place:
    """Where the template of this file belongs."""
    for suffix, format in _SUFFIXES.items():
        if name.endswith(suffix):
            return Place(name.removesuffix(suffix), format)
    raise ValueError(name)


class SourceTemplate(BoundTemplate):
    """A parsed template that knows its file, and says so when it fails."""

    source_name: str
    first_line: int
    text: str

    def render_with_context(self, context: RenderContext, buffer: Any, *args: Any, **kwargs: Any) -> None:
        """Render it.

        Raises:
            TemplateError: it fails, or what it renders.
        """
        try:
            super().render_with_context(context, buffer, *args, **kwargs)
        except (TemplateError, LiquidInterrupt):
            raise
        except Exception as error:
            raise render_failure(error, self.source_name, self.first_line) from None


class TemplateSet:
    """Templates by workflow and channel. They are parsed when they are needed, once."""

    def __init__(self, sources: Mapping[str, Source]) -> None:
        """Sort them.

        sources: by their paths below the folder.
        """
        self.sources = sources
        self._places: dict[str, dict[str, Source]] = {}
        for name, source in sources.items():
            place = place_of(name)
            formats = self._places.setdefault(_folded(place.base), {})
            other = formats.get(place.format)
            formats[place.format] = source if other is None else _conflict(source, other)
        self._without_locale = frozenset(name for base in self._places for name in _shorter(base))
        self._environments = {
            HTML: BoundedEnvironment(_Partials(self, HTML), escape=True),
            TEXT: BoundedEnvironment(_Partials(self, TEXT), escape=False),
        }
        for environment in self._environments.values():
            environment.template_class = SourceTemplate
        self._parsed: dict[tuple[str, str, int], SourceTemplate | SourceProblem] = {}

    def find(self, workflow: str, channel: str, type: str, locale: object) -> Mapping[str, Source]:
        """The sources for a message by their format; none if there is no template.

        A template of the workflow comes before one of `_default`, one for the channel before one for its type, and one
        for the recipient's locale before one for the language and one for all.
        """
        for folder in _folders(workflow):
            for name in dict.fromkeys((channel, type)):
                for suffix in (*_locales(locale), ""):
                    if found := self._places.get(_folded(f"{folder}/{name}{suffix}")):
                        return found
        return {}

    def has_template(self, workflow: str, channel: str, type: str) -> bool:
        """Whether `find` would find one for some locale."""
        return any(
            _folded(f"{folder}/{name}") in self._without_locale
            for folder in _folders(workflow)
            for name in (channel, type)
        )

    def formats(self, place: Place) -> Mapping[str, Source]:
        """The sources of one place by their format.

        Raises:
            TemplateError: two are text, or two have the same heading.
        """
        found = self._places[_folded(place.base)]
        for key in HEADINGS:
            having = [source for source in found.values() if key in content_of(source).entries]
            if len(having) > 1:
                raise TemplateError(having[1].name, None, f"{having[0].name} has a {key}, too")
        return found

    def layout(self, source: Source, format: str) -> Source | None:
        """The layout that the front matter names, if it does.

        Raises:
            TemplateError: there is none of this name and format.
        """
        content = content_of(source)
        entry = content.entries.get("layout")
        if entry is None:
            return None
        found = self._places.get(_folded(f"{LAYOUTS}/{entry.text}"), {}).get(format)
        if found is None:
            raise TemplateError(source.name, entry.line, f"there is no layout `{entry.text}` for {format}")
        return found

    def partial(self, name: str, format: str) -> Source | None:
        """The partial of this name: for the format, or one of text, which HTML may use, too."""
        formats = self._places.get(_folded(f"{PARTIALS}/{name}"), {})
        return formats.get(format) or formats.get(TEXT)

    def body(self, source: Source, format: str) -> SourceTemplate:
        """The parsed body of a source.

        Raises:
            TemplateError: it is not valid.
        """
        content = content_of(source)
        return self._parse(source.name, content.body, content.body_line, format)

    def heading(self, source: Source, key: str) -> SourceTemplate | None:
        """The parsed heading of a source, which is text in HTML templates, too; None if it has none.

        Raises:
            TemplateError: it is not valid.
        """
        entry = content_of(source).entries.get(key)
        return None if entry is None else self._parse(source.name, entry.text, entry.line, TEXT)

    def _parse(self, name: str, text: str, line: int, format: str) -> SourceTemplate:
        key = name, format, line
        found = self._parsed.get(key)
        if found is None:
            found = self._parsed[key] = _parsed(self._environments[format], name, text, line)
        if isinstance(found, SourceProblem):
            raise TemplateError(name, found.line, found.reason)
        return found


def _parsed(environment: Environment, name: str, text: str, line: int) -> SourceTemplate | SourceProblem:
    if problem := find_delimiter_problem(text):
        return SourceProblem(line + text.count("\n", 0, problem[0]), problem[1])
    try:
        template = environment.from_string(text, name=name, path=name)
    except LiquidError as error:
        return parse_problem(error, line, text)
    assert isinstance(template, SourceTemplate)
    template.source_name, template.first_line, template.text = name, line, text
    return template


def content_of(source: Source) -> FrontMatter:
    """What the source holds.

    Raises:
        TemplateError: it could not be read.
    """
    if isinstance(source.content, SourceProblem):
        raise TemplateError(source.name, source.content.line, source.content.reason)
    return source.content


class _Partials(BaseLoader):
    """Loads what `{% render "name" %}` names: partials, and nothing else."""

    def __init__(self, templates: TemplateSet, format: str) -> None:
        self._templates = templates
        self._format = format

    def get_source(self, env: Environment, template_name: str, **options: object) -> TemplateSource:
        raise NotImplementedError  # `load` does it

    def load(self, env: Environment, name: str, **options: object) -> BoundTemplate:
        source = self._templates.partial(name, self._format)
        if source is None:
            raise TemplateNotFoundError(f"there is no partial `{name}`")
        return self._templates.body(source, self._format)


def _conflict(source: Source, other: Source) -> Source:
    return Source(source.name, SourceProblem(None, f"{other.name} is there, too, and both are text"))


def _locales(locale: object) -> Iterator[str]:
    if isinstance(locale, str):
        parts = locale.replace("_", "-").split("-")
        while parts:
            yield "." + "-".join(parts)
            parts.pop()


def _folders(workflow: str) -> tuple[str, ...]:
    """Where templates of a workflow are; an id that looks like a folder of ours has the default only."""
    return (DEFAULT,) if workflow.startswith(("_", ".")) else (workflow, DEFAULT)


def _shorter(base: str) -> Iterator[str]:
    """The path, and the path without what comes after each of its points: one of these is the path without locale."""
    folder, _, name = base.rpartition("/")
    parts = name.split(".")
    yield from (f"{folder}/{'.'.join(parts[: count + 1])}" for count in range(len(parts)))


def _folded(base: str) -> str:
    """The path with its locale in lower case: `de-CH` and `de-ch` are the same."""
    folder, _, name = base.rpartition("/")
    stem, dot, locale = name.partition(".")
    return f"{folder}/{stem}{dot}{locale.replace('_', '-').lower()}"
