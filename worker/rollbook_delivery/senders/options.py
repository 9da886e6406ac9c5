"""The options of a sender: the table `options` of its channel, checked when the process starts."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from rollbook_shared.errors import NotConfigured
from rollbook_shared.jobs.pydantic_problems import problems_of
from rollbook_shared.registry import Channel

MOST_SECONDS = 300.0
"""Of one attempt. A lease is a little longer, and what was claimed is lost to others for that time."""

Variable = Annotated[str, StringConstraints(pattern=r"^[A-Z_][A-Z0-9_]*$", max_length=256)]
"""The name of an environment variable, in capitals: the registry's file holds no secret."""


class OptionTable(BaseModel):
    """A table of options. One that is unknown or of another type is an error, which quotes no value."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, hide_input_in_errors=True, use_attribute_docstrings=True
    )


class Options(OptionTable):
    """Options that every sender has."""

    timeout: float = Field(default=30.0, gt=0, le=MOST_SECONDS)
    """Seconds that an attempt may take; then it is cut off, and counts as failed."""
    concurrency: int = Field(default=4, ge=1, le=1_000)
    """How many messages of the channel a process hands over at a time."""


OptionsT = TypeVar("OptionsT", bound=Options)


def read_options(kind: type[OptionsT], channel: Channel) -> OptionsT:
    """The options of a channel.

    Raises:
        NotConfigured: one is missing, unknown or invalid; the error names the table and all problems.
    """
    try:
        return kind.model_validate(_lists_as_tuples(channel.options))
    except ValidationError as error:
        problems = "; ".join(map(str, problems_of(error, omitted=frozenset())))
        raise NotConfigured(f"{table_of(channel)}: {problems}") from None


def table_of(channel: Channel) -> str:
    """The table of a channel's options, as the registry's file has it."""
    return f'[channels."{channel.key}".options]'


def read_secret(variable: str, channel: Channel, env: Mapping[str, str]) -> str:
    """The value of an environment variable that an option names.

    Raises:
        NotConfigured: it is not set, or empty.
    """
    if not (value := env.get(variable, "")):
        raise NotConfigured(f"{table_of(channel)} names the environment variable {variable}, which is not set")
    return value


def client_tls(ca_file: str | None, channel: Channel) -> ssl.SSLContext:
    """How a server's certificate is checked: with those in `ca_file`, or by default with the system's.

    Raises:
        NotConfigured: the file cannot be read, or holds none.
    """
    try:
        return ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError:
        raise NotConfigured(f"{table_of(channel)}: ca_file holds no certificate") from None
    except OSError as error:
        raise NotConfigured(f"{table_of(channel)}: ca_file cannot be read: {error.strerror}") from None


def _lists_as_tuples(value: Any) -> Any:
    """The value without lists: options are frozen, and strict models take no list for a tuple."""
    if isinstance(value, Mapping):
        return {name: _lists_as_tuples(item) for name, item in value.items()}
    return tuple(map(_lists_as_tuples, value)) if isinstance(value, list) else value
