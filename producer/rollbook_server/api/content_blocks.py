"""The content of a message in Knock's shape: a list of blocks, which clients find by their names."""

from __future__ import annotations

from html import escape
from typing import Literal

from typing_extensions import TypedDict

from rollbook.models import Content


class Block(TypedDict):
    """A part of a content. `rendered` is HTML in the block `body`, and plain text in the others."""

    type: Literal["markdown", "text"]
    name: Literal["title", "body", "action_url"]
    content: str
    rendered: str


def blocks_of(content: Content | None) -> list[Block]:
    """The parts that the content has; none: there is no template for the message."""
    if content is None:
        return []
    blocks: list[Block] = []
    if content.title is not None:
        blocks.append(_text("title", content.title))
    if content.html or content.text:
        html = content.html or _as_html(content.text or "")
        blocks.append({"type": "markdown", "name": "body", "content": content.text or html, "rendered": html})
    if content.action_url is not None:
        blocks.append(_text("action_url", content.action_url))
    return blocks


def _text(name: Literal["title", "action_url"], text: str) -> Block:
    return {"type": "text", "name": name, "content": text, "rendered": text}


def _as_html(text: str) -> str:
    # Knock's components put a body into the page as it is: what a template of text printed must not become HTML
    lines = "<br>".join(escape(text).split("\n"))
    return f"<p>{lines}</p>"
