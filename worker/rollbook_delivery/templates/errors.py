"""What rendering raises. No text holds a value of a person: errors name templates, lines and names in templates."""

from __future__ import annotations

from rollbook_shared.errors import RollbookError


class TemplateError(RollbookError):
    """A template cannot be rendered. `template` is its file, below the folder of templates; `line` is counted from 1,
    and None where no line is to blame; `reason` says why, without a value of a person.

    Trying again does not help: the template, or the data of the trigger, must change.
    """

    def __init__(self, template: str, line: int | None, reason: str) -> None:
        self.template = template
        self.line = line
        self.reason = reason
        super().__init__(f"{template}:{line}: {reason}" if line else f"{template}: {reason}")


class TemplateNotFound(TemplateError):
    """Neither the workflow nor the default has a template for the channel. `template` is where it was looked for."""
