"""What is wrong with templates, as far as it shows without data: for the continuous integration of a product."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from liquid.builtin.tags.render_tag import RenderNode
from liquid.exceptions import LiquidError
from liquid.static_analysis import Variable

from rollbook_delivery.templates.errors import TemplateError
from rollbook_delivery.templates.filters import FILTERS
from rollbook_delivery.templates.front_matter import HEADINGS
from rollbook_delivery.templates.sandbox import BoundedContext, walk
from rollbook_delivery.templates.sources import Source
from rollbook_delivery.templates.template_set import (
    DEFAULT,
    LAYOUTS,
    PARTIALS,
    Place,
    SourceTemplate,
    TemplateSet,
    content_of,
    place_of,
)
from rollbook_delivery.templates.variables import NAMES
from rollbook_shared.registry import Registry

_OF_LAYOUTS: Final = frozenset({"content", *HEADINGS})


@dataclass(frozen=True, slots=True)
class TemplateProblem:
    """One thing that is wrong."""

    template: str
    line: int | None
    reason: str

    def __str__(self) -> str:
        return f"{self.template}:{self.line}: {self.reason}" if self.line else f"{self.template}: {self.reason}"


def check_templates(templates: TemplateSet, registry: Registry | None) -> list[TemplateProblem]:
    """Everything that is wrong, in the order of the files.

    registry: files for workflows and channels that it does not have are problems; None: any may be.
    """
    found: set[tuple[str, int | None, str]] = set()
    for source in templates.sources.values():
        found.update(_problems(templates, source, registry))
    return [
        TemplateProblem(*problem)
        for problem in sorted(found, key=lambda problem: (problem[0], problem[1] or 0, problem[2]))
    ]


_Found = tuple[str, int | None, str]


def _problems(templates: TemplateSet, source: Source, registry: Registry | None) -> Iterator[_Found]:
    place = place_of(source.name)
    folder, _, rest = place.base.partition("/")
    try:
        if content_of(source).entries and folder in (LAYOUTS, PARTIALS):
            yield source.name, 1, "layouts and partials have no front matter"
            return
        headings = [templates.heading(source, key) for key in HEADINGS]
        templates.layout(source, place.format)
        templates.formats(place)
        body = templates.body(source, place.format)
    except TemplateError as error:
        yield error.template, error.line, error.reason
        return
    if folder not in (LAYOUTS, PARTIALS):
        yield from ((source.name, None, reason) for reason in _misplaced(folder, rest, registry))
    if folder != PARTIALS:  # what a partial may name depends on the templates that render it
        names = NAMES if folder != LAYOUTS else {**NAMES, **dict.fromkeys(_OF_LAYOUTS)}
        for template in (*headings, body):
            if template is not None:
                yield from _unknown(templates, template, place, names)


def _misplaced(workflow: str, channel: str, registry: Registry | None) -> Iterator[str]:
    if not channel or "/" in channel:
        yield f"a template is in WORKFLOW/CHANNEL, in {DEFAULT}, {LAYOUTS} or {PARTIALS}"
        return
    if workflow != DEFAULT and workflow.startswith("_"):
        yield f"a workflow's folder does not begin with `_`; {DEFAULT}, {LAYOUTS} and {PARTIALS} do"
    elif registry is not None:
        yield from _unregistered(workflow, channel, registry)


def _unregistered(workflow: str, channel: str, registry: Registry) -> Iterator[str]:
    known, whose = list(registry.channels.values()), "the registry"
    if workflow != DEFAULT and registry.workflows is not None:
        if workflow not in registry.workflows:
            yield f"the registry has no workflow `{workflow}`"
            return
        known = [registry.channels[key] for key in registry.workflows[workflow].channels]
        whose = f"the workflow `{workflow}`"
    names = {name for one in known for name in (one.key, one.type)}
    if channel not in names and not any(channel.startswith(f"{name}.") for name in names):
        yield f"{whose} has no channel `{channel}`, and none of this type"


def _unknown(
    templates: TemplateSet, template: SourceTemplate, place: Place, names: Mapping[str, frozenset[str] | None]
) -> Iterator[_Found]:
    """Filters, partials and names that do not exist, in the template and in the partials that it renders."""
    found = list(_partials(templates, template, place))
    problems = [problem for problem in found if isinstance(problem, tuple)]
    yield from problems
    texts = {partial.name: partial.template for partial in found if isinstance(partial, _Partial)}
    texts[template.source_name] = template
    try:
        analysis = template.analyze(include_partials=not problems)
    except (LiquidError, TemplateError, RecursionError):
        yield template.source_name, None, "its partials cannot be looked at"
        return
    for name, spans in analysis.filters.items():
        if name not in FILTERS:
            for span in spans:
                yield _at(texts, span.template_name, span.index, f"there is no filter `{name}`")
    for variables in analysis.globals.values():
        for variable in variables:
            if reason := _unknown_name(variable, names):
                yield _at(texts, variable.span.template_name, variable.span.index, reason)


def _unknown_name(variable: Variable, names: Mapping[str, frozenset[str] | None]) -> str | None:
    root, *below = variable.segments
    if root not in names:
        return f"there is no variable `{root}`"
    known = names[str(root)]
    if known is None or not below or not isinstance(below[0], str) or below[0] in known | {"size", "first", "last"}:
        return None
    hint = f"; is it `{root}.properties.{below[0]}`?" if "properties" in known else ""
    return f"`{root}` has no `{below[0]}`{hint}"


@dataclass(frozen=True, slots=True)
class _Partial:
    name: str
    """As the template has it, which is what the analysis names."""
    template: SourceTemplate


def _partials(
    templates: TemplateSet, template: SourceTemplate, place: Place, seen: Sequence[str] = ()
) -> Iterator[_Partial | _Found]:
    static = BoundedContext(template)
    for node in (inner for outer in template.nodes for inner in walk(outer, static)):
        if not isinstance(node, RenderNode):
            continue
        name = str(getattr(node.name, "value", node.name))
        source = templates.partial(name, place.format)
        if source is None:
            line = template.first_line + node.token.source.count("\n", 0, node.token.start_index)
            yield template.source_name, line, f"there is no partial `{name}`"
        elif name not in seen:
            try:
                partial = templates.body(source, place.format)
            except TemplateError as error:
                yield error.template, error.line, error.reason
            else:
                yield _Partial(name, partial)
                yield from _partials(templates, partial, place, (*seen, name))


def _at(texts: Mapping[str, SourceTemplate], name: str, index: int, reason: str) -> _Found:
    template = texts[name]
    return template.source_name, template.first_line + template.text.count("\n", 0, index), reason
