"""Liquid within bounds: no template and no data makes a rendering long, large or able to reach Python.

python-liquid has bounds of its own, which this replaces: they count loops within each other but not one after the
other, check no time, and materialise a range of a billion numbers before they look. Time is checked at each node of
each block, at each loop and around each filter, and what a single filter may take is bounded by the size of what it
takes and gives. So nothing has to interrupt a thread from outside, which Python can do only between instructions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from io import StringIO
from typing import TYPE_CHECKING, Any, Final, TextIO

from liquid import Environment
from liquid.ast import BlockNode, Node
from liquid.builtin import content, illegal
from liquid.builtin.expressions.primitive import RangeLiteral
from liquid.builtin.output import Output, OutputNode
from liquid.builtin.tags import (
    assign_tag,
    capture_tag,
    case_tag,
    comment_tag,
    cycle_tag,
    decrement_tag,
    doc_tag,
    echo_tag,
    for_tag,
    if_tag,
    ifchanged_tag,
    increment_tag,
    inline_comment_tag,
    liquid_tag,
    render_tag,
    unless_tag,
)
from liquid.context import RenderContext
from liquid.exceptions import LiquidError, UnknownFilterError
from liquid.expression import Expression
from liquid.output import NullIO
from liquid.undefined import FalsyStrictUndefined
from liquid.utils import ReadOnlyChainMap

from rollbook_delivery.templates.bounds import BLOCKS, ITEMS
from rollbook_delivery.templates.filters import FILTERS, apply_filter
from rollbook_delivery.templates.missing import missing_name
from rollbook_delivery.templates.state import BoundExceeded, RenderState
from rollbook_delivery.templates.text import to_text

if TYPE_CHECKING:
    from liquid.loader import BaseLoader
    from liquid.template import BoundTemplate
    from liquid.token import Token

_TAGS: Final = (
    content.Literal,
    illegal.Illegal,
    if_tag.IfTag,
    unless_tag.UnlessTag,
    case_tag.CaseTag,
    for_tag.ForTag,
    for_tag.BreakTag,
    for_tag.ContinueTag,
    assign_tag.AssignTag,
    capture_tag.CaptureTag,
    increment_tag.IncrementTag,
    decrement_tag.DecrementTag,
    cycle_tag.CycleTag,
    ifchanged_tag.IfChangedTag,
    liquid_tag.LiquidTag,
    render_tag.RenderTag,
    comment_tag.CommentTag,
    inline_comment_tag.InlineCommentTag,
    doc_tag.DocTag,
)
"""Not `include`, whose name may come from data and whose assignments reach the caller; not `tablerow`."""


class Missing(FalsyStrictUndefined):
    """A name that is not there: false in conditions, replaced by `default`, an error everywhere else."""

    def __init__(self, name: str, *, token: Token | None, obj: object = None, hint: str | None = None) -> None:
        # Not the hint, which holds the values of `data[recipient.name]`, but what the template says.
        super().__init__(name, token=token, hint=f"`{missing_name(token, name)}` is missing")


class BoundedBuffer(StringIO):
    """Output of bounded length."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._left = limit
        self._limit = limit

    def write(self, text: str) -> int:
        """Write, if it still fits."""
        self._left -= len(text)
        if self._left < 0:
            raise BoundExceeded(f"it is longer than {self._limit:,} characters")
        return super().write(text)


class BoundedContext(RenderContext):
    """What a template is rendered in. `begin` it before."""

    __slots__ = ("_kept", "_kept_sizes", "state")

    def __init__(self, template: BoundTemplate, **options: Any) -> None:
        super().__init__(template, **options)
        parent = options.get("parent_context")
        self._kept_sizes: dict[str, int] = {}
        self._kept = 0
        if isinstance(parent, BoundedContext):
            self.state: RenderState = parent.state
            self._kept = parent._kept
        # Without the library's own `now` and `today`, which read the clock.
        self.scope = ReadOnlyChainMap(self.locals, self.globals, self.counters)

    def begin(self, state: RenderState) -> BoundedContext:
        """Count in `state`; contexts that are made of this one do, too."""
        self.state = state
        return self

    def assign(self, key: str, val: Any) -> None:
        """Keep a value, if all values still fit."""
        size = _size(val)
        self._kept += size - self._kept_sizes.get(key, 0)
        self._kept_sizes[key] = size
        if self._kept > self.state.bounds.namespace:
            raise BoundExceeded("`assign` and `capture` keep more than a message may")
        self.locals[key] = val

    def filter(self, name: str, token: Token | None) -> Callable[..., object]:
        """A filter, bounded."""
        found = FILTERS.get(name)
        if found is None:
            raise UnknownFilterError(f"there is no filter `{name}`", token=token)
        return partial(apply_filter, self.state, self.autoescape, name, found)

    def raise_for_loop_limit(self, length: int = 1) -> None:
        """Count a loop."""
        self.state.iterate(length)

    def get_buffer(self, buf: TextIO | None = None) -> StringIO:
        """Output that a block collects."""
        return BoundedBuffer(self.state.bounds.characters)


class _BoundedBlock(BlockNode):
    """A block that counts its nodes, and says in which line one of them fails."""

    __slots__ = ()

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        assert isinstance(context, BoundedContext)
        state = context.state
        output = NullIO() if self.blank else buffer  # as Liquid does: no blank lines of blocks without output
        count = 0
        for node in self.nodes:
            state.step()
            try:
                count += node.render(context, output)
            except LiquidError as error:
                error.token = error.token or node.token
                raise
        return 0 if self.blank else count


class _BoundedRange(RangeLiteral):
    """A range that is no longer than a list may be."""

    __slots__ = ()

    def evaluate(self, context: RenderContext) -> range:
        found = super().evaluate(context)
        if found.stop - found.start > ITEMS:
            raise BoundExceeded(f"a range has more than {ITEMS:,} numbers", self.token)
        return found


class _TextOutput(OutputNode):
    """Prints values as text; objects and lists of them as JSON, not as Python."""

    __slots__ = ()

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        return buffer.write(to_text(self.expression.evaluate(context), escape=context.autoescape))


class _Output(Output):
    node_class = _TextOutput


class _Echo(echo_tag.EchoTag):
    node_class = _TextOutput  # type: ignore[assignment]  # it is an output with another syntax


class BoundedEnvironment(Environment):
    """The Liquid that templates may use. A template of it is rendered with `render`."""

    context_depth_limit = BLOCKS
    block_nesting_limit = BLOCKS

    def __init__(self, loader: BaseLoader, *, escape: bool) -> None:
        """Make it.

        escape: whether what is printed is escaped as HTML.
        """
        super().__init__(loader=loader, undefined=Missing, autoescape=escape)
        self.escape = escape

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        """Register what is known here, not what the library may add some day."""
        for tag in (*_TAGS, _Output, _Echo):
            self.add_tag(tag)
        self.filters = dict.fromkeys(FILTERS, apply_filter)

    def error(self, exc: type[LiquidError] | LiquidError, msg: str | None = None, token: Token | None = None) -> None:
        """Raise the error; with the tag's place, if what the parser misses would come after the tag's end."""
        if isinstance(exc, LiquidError) and exc.token is not None and exc.token.start_index < 0:
            exc.token = token
        super().error(exc, msg, token)

    def from_string(self, source: str, *arguments: Any, **options: Any) -> BoundTemplate:
        """Parse a template.

        Raises:
            LiquidError: it is not valid.
        """
        template = super().from_string(source, *arguments, **options)
        static = BoundedContext(template)
        for node in template.nodes:
            _bound(node, static)
        return template


def render_bounded(template: BoundTemplate, variables: Mapping[str, object], state: RenderState) -> str:
    """Render a template of a `BoundedEnvironment`.

    Raises:
        LiquidError: it fails, or would exceed a bound.
    """
    buffer = BoundedBuffer(state.bounds.characters)
    template.render_with_context(BoundedContext(template, globals=variables).begin(state), buffer)
    return buffer.getvalue()


def walk(node: Node, static: RenderContext) -> Iterator[Node]:
    """The node and all below it, without the templates that it renders."""
    yield node
    if not isinstance(node, render_tag.RenderNode):
        for child in node.children(static, include_partials=False):
            yield from walk(child, static)


def _bound(node: Node, static: RenderContext) -> None:
    # The library makes these nodes itself, and takes no other classes for them; the new ones have the same slots.
    for found in walk(node, static):
        if type(found) is BlockNode:
            found.__class__ = _BoundedBlock
        for expression in found.expressions():
            _bound_expression(expression)


def _bound_expression(expression: Expression) -> None:
    if type(expression) is RangeLiteral:
        expression.__class__ = _BoundedRange
    for child in expression.children():
        _bound_expression(child)


def _size(value: object) -> int:
    match value:
        case str():
            return 64 + len(value)
        case list() | tuple():
            return 64 + 64 * len(value)
        case _:
            return 64
