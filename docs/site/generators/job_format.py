"""The jobs as JSON: for each kind an example as it travels, and a JSON schema."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from docs.site.generators.source import summary
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import PydanticOmit, core_schema

from rollbook import Rollbook
from rollbook.testing import recording
from rollbook_shared.jobs.codec import VERSION, encode
from rollbook_shared.jobs.models import MODELS

_RULES: Final = re.compile(r" Rules? [\d, to]+\.$")
"""Which rules a docstring refers to; readers of the page do not have them."""
_MESSAGE: Final = "6f0d5b0e-3d5c-5f0e-9f53-6b1d1c0f7a11"
_WHEN: Final = 1_769_767_200_000_000
EXAMPLES: Final[Mapping[str, Callable[[Rollbook], object]]] = {
    "identify": lambda rb: rb.users.identify("ann", {"email": "ann@example.com", "plan": "pro"}, job_id="job-1"),
    "bulk_identify": lambda rb: rb.users.bulk_identify([{"id": "ann", "plan": "pro"}, {"id": "bo"}], job_id="job-2"),
    "delete": lambda rb: rb.users.delete("ann", job_id="job-3"),
    "bulk_delete": lambda rb: rb.users.bulk_delete(["ann", "bo"], job_id="job-4"),
    "merge": lambda rb: rb.users.merge("ann", "guest_9", keep_opt_outs=True, job_id="job-5"),
    "set_preferences": lambda rb: rb.users.set_preferences(
        "ann", "default", {"workflows": {"digest": False}}, job_id="job-6"
    ),
    "update_preferences": lambda rb: rb.users.update_preferences(
        "ann", "default", {"workflows": {"digest": True}, "channel_types": {"sms": None}}, job_id="job-13"
    ),
    "unset_preferences": lambda rb: rb.users.unset_preferences("ann", "default", job_id="job-7"),
    "bulk_set_preferences": lambda rb: rb.users.bulk_set_preferences(
        ["ann", "bo"], "acme", {"channel_types": {"email": False}}, job_id="job-8"
    ),
    "set_channel_data": lambda rb: rb.users.set_channel_data("ann", "push", {"tokens": ["t1"]}, job_id="job-9"),
    "add_push_token": lambda rb: rb.users.add_push_token("ann", "push", "t2", {"locale": "de"}, job_id="job-15"),
    "remove_push_token": lambda rb: rb.users.remove_push_token("ann", "push", "t1", job_id="job-16"),
    "unset_channel_data": lambda rb: rb.users.unset_channel_data("ann", "push", job_id="job-10"),
    "trigger": lambda rb: rb.workflows.trigger(
        "welcome", ["ann", {"id": "bo", "name": "Bo"}], actor="cy", data={"cart": 2}, job_id="job-11"
    ),
    "mark": lambda rb: rb.messages.mark([_MESSAGE], "read", user_id="ann", job_id="job-12"),
    "mark_all": lambda rb: rb.messages.mark_all("ann", "seen", job_id="job-14"),
}
"""A call that makes a job of each kind."""


def page() -> str:
    """A section for each kind of job."""
    return "\n\n".join(_section(kind, model) for kind, model in MODELS.items())


def _section(kind: str, model: Any) -> str:
    return "\n\n".join(
        [
            f"## {kind}",
            _RULES.sub("", summary(model.__doc__)),
            f"```json\n{example(kind)}\n```",
            f'??? abstract "JSON schema"\n\n{_indented(_fence(schema(model)))}',
        ]
    )


def example(kind: str) -> str:
    """A job of this kind as it travels, over several lines."""
    rb = recording(clock=lambda: _WHEN)
    EXAMPLES[kind](rb)
    (job,) = rb.sent
    return json.dumps(json.loads(encode(job)), indent=2, ensure_ascii=False)


def schema(model: Any) -> JsonSchemaValue:
    """The JSON schema of a kind of job."""
    found: JsonSchemaValue = model.model_json_schema(schema_generator=_Generator)
    return found | {
        "properties": {"v": {"const": VERSION}} | found["properties"],
        "required": ["v", *found["required"]],
    }


class _Generator(GenerateJsonSchema):
    """Leaves out what only exists once a job is decoded: the problem that stands where a bad user was."""

    def is_instance_schema(self, schema: core_schema.IsInstanceSchema) -> JsonSchemaValue:
        raise PydanticOmit


def _fence(found: JsonSchemaValue) -> str:
    return f"```json\n{json.dumps(found, indent=2, ensure_ascii=False)}\n```"


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())
