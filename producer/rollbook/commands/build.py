"""Builds the job, or raises `InvalidRequest` with all that was found: before, and by the job's own model."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from rollbook_shared.errors import InvalidRequest, Problem
from rollbook_shared.jobs.problems import problems_of

J = TypeVar("J", bound=BaseModel)

_ROOT: Final = re.compile(r"[^.\[]*")
_NO_RENAMES: Final[Mapping[str, str]] = MappingProxyType({})


def build_job(
    model: type[J], found: Sequence[Problem], *, renames: Mapping[str, str] = _NO_RENAMES, **fields: Any
) -> J:
    """The job of `fields`. `renames` leads from the job's field names to those of the call, for the problems.

    Raises:
        InvalidRequest: with the problems `found` already, then those of fields that had none yet.
    """
    problems = list(found)
    try:
        job = model.model_validate(fields)
    except ValidationError as error:
        known = {_ROOT.match(problem.field)[0] for problem in found}  # type: ignore[index]
        for problem in problems_of(error):
            field = _ROOT.sub(lambda root: renames.get(root[0], root[0]), problem.field, count=1)
            if _ROOT.match(field)[0] not in known or problem.index is not None:  # type: ignore[index]
                problems.append(Problem(field, problem.reason, problem.index))
        raise InvalidRequest(problems) from None
    if problems:
        raise InvalidRequest(problems)
    return job


def plain(value: object) -> object:
    """Any mapping as a dict, which is what a JSON object is; anything else as it is."""
    return dict(value) if isinstance(value, Mapping) else value
