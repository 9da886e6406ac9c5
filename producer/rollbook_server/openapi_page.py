"""The reference of the HTTP API as one HTML page, made of the OpenAPI document; it needs no script and no network."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #1c1e21; }
h2 { margin-top: 2.5rem; } details { border-top: 1px solid #ddd; padding: .4rem 0; }
summary { cursor: pointer; } code, pre { font: 13px/1.4 ui-monospace, monospace; }
pre { background: #f6f7f8; padding: .7rem; overflow-x: auto; }
td, th { text-align: left; padding: .1rem .8rem .1rem 0; }
.method { display: inline-block; width: 4.5rem; font-weight: 600; }
@media (prefers-color-scheme: dark) { body { background: #16181b; color: #e4e6e9; } pre { background: #22252a; } }
"""
_CODE: Final = re.compile(r"`([^`]+)`")


def openapi_page(document: Mapping[str, Any]) -> str:
    """The page."""
    info = document["info"]
    return "".join(
        [
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(info["title"])}: HTTP API</title>',
            f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>',
            f"<h1>{escape(info['title'])}: HTTP API</h1>",
            "<p>Every call needs <code>Authorization: Bearer KEY</code>. "
            '<a href="openapi.json">openapi.json</a> is the same for programs.</p>',
            *_tags(document),
            "<h2>Schemas</h2>",
            *(
                f'<details id="{escape(name)}"><summary><code>{escape(name)}</code></summary>{_json(schema)}</details>'
                for name, schema in sorted(document["components"]["schemas"].items())
            ),
        ]
    )


def _tags(document: Mapping[str, Any]) -> Iterator[str]:
    by_tag: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            by_tag.setdefault(operation["tags"][0], []).append(_operation(method, path, operation))
    for tag, operations in by_tag.items():
        yield f"<h2>{escape(tag)}</h2>"
        yield from operations


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    parts = [
        f'<details id="{escape(operation["operationId"])}"><summary><span class="method">{method.upper()}</span>',
        f"<code>{escape(path)}</code> {_prose(operation['summary'])}</summary>",
        f"<p>{_prose(operation.get('description', ''))}</p>",
    ]
    if parameters := operation["parameters"]:
        parts.append("<table>")
        parts += [
            f"<tr><th><code>{escape(each['name'])}</code></th><td>{escape(each['in'])}</td>"
            f"<td>{_prose(each.get('description', ''))}</td></tr>"
            for each in parameters
        ]
        parts.append("</table>")
    if "requestBody" in operation:
        parts.append(f"<p>Body: {_content(operation['requestBody'])}</p>")
    parts.append("<table>")
    for status, response in operation["responses"].items():
        parts.append(
            f"<tr><th>{escape(status)}</th><td>{_prose(response['description'])}</td><td>{_content(response)}</td></tr>"
        )
    parts.append("</table></details>")
    return "".join(parts)


def _content(holder: Mapping[str, Any]) -> str:
    for media in holder.get("content", {}).values():
        schema = media["schema"]
        if "$ref" in schema:
            name = escape(schema["$ref"].rpartition("/")[2])
            return f'<a href="#{name}"><code>{name}</code></a>'
        return f"<code>{escape(json.dumps(schema))}</code>"
    return ""


def _prose(text: str) -> str:
    """The text, with what stands in backticks as code."""
    return _CODE.sub(r"<code>\1</code>", escape(text, quote=False))


def _json(value: Any) -> str:
    return f"<pre>{escape(json.dumps(value, indent=2))}</pre>"
