"""The reference that is generated from the code is complete, and the pages written by hand name the same things."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from docs.site.generators import cli, dead_letter_codes, errors, job_format, limits, metrics, settings, sql
from tests.support.documentation import table
from tests.support.repository import known_variables

import rollbook
import rollbook_shared.limits
from rollbook_shared.database import tables
from rollbook_shared.environment import Choice, settings_of
from rollbook_shared.job_states import DeadLetterCode
from rollbook_shared.jobs.codec import decode
from rollbook_shared.jobs.models import KINDS, MODELS
from rollbook_shared.limits import Limits
from rollbook_shared.settings import Settings


def test_settings_are_those_that_the_code_reads() -> None:
    listed = settings.variables()

    assert len(listed) == len(set(listed))
    assert set(listed) == {name for name in known_variables() if name.startswith("ROLLBOOK_")}
    assert [name for name in listed if f"| `{name}` |" not in settings.page()] == []


def test_defaults_are_those_of_the_code() -> None:
    shown = {row[0].strip("`"): row[1].strip("`") for row in table(settings.page(), "variable") if row[1]}

    assert Settings.from_env(shown) == Settings()
    assert len(shown) > 15


def test_every_limit_of_the_settings_and_every_fixed_one_is_listed() -> None:
    page = limits.page()
    listed = {limit.setting.strip("`") for limit in limits.all_limits()} - {""}

    # a choice is no limit
    assert listed == {each.variable for each in settings_of(Limits).values() if not isinstance(each, Choice)}
    fixed = [name for name, value in vars(rollbook_shared.limits).items() if name.isupper() and isinstance(value, int)]
    used = Path(limits.__file__).read_text()
    assert [name for name in fixed if f"limits.{name}" not in used and not name.startswith("_")] == []
    assert "10,000" in page


def test_every_command_has_its_help_options_and_examples() -> None:
    page = cli.page()

    assert "## rollbook users merge" in page
    assert "`--keep-opt-outs`" in page
    for name, command in cli.commands():
        assert f"## {name}\n" in page
        assert command.help
        assert command.epilog or hasattr(command, "commands")


def test_markup_of_the_terminal_is_gone() -> None:
    assert [word for word in ("[cyan]", "[bold]", "[/]", "\b") if word in cli.page()] == []


def test_every_error_is_listed() -> None:
    names = {error.__name__ for error in errors.errors()}

    assert {name for name in rollbook.__all__ if issubclass_of_error(name)} <= names
    assert [name for name in names if f"`{name}`" not in errors.page()] == []
    assert [name for name in names if f".{name}\n" not in errors.classes() + "\n"] == []


def issubclass_of_error(name: str) -> bool:
    found = getattr(rollbook, name)
    return isinstance(found, type) and issubclass(found, rollbook.RollbookError)


def test_every_dead_letter_code_says_what_to_do() -> None:
    rows = {row[0]: row[1:] for row in table(dead_letter_codes.page(), "code")}

    assert set(rows) == {f"`{code}`" for code in DeadLetterCode}
    assert [code for code, (meaning, advice) in rows.items() if not meaning or not advice] == []


def test_metrics_have_names_and_help() -> None:
    found = metrics.metrics()

    assert len(found) > 20
    assert {"rollbook_jobs_total", "rollbook_queue_jobs", "rollbook_outbox_unsent"} <= {metric.name for metric in found}
    assert [metric.labels for metric in found if metric.name == "rollbook_jobs_total"] == [("kind", "outcome")]


def test_every_view_and_table_is_listed() -> None:
    for found, page in ((tables.views, sql.views()), (tables.metadata, sql.internal_tables())):
        assert [each.name for each in found.sorted_tables if f"### {each.name}\n" not in page] == []


@pytest.mark.parametrize("kind", KINDS)
def test_example_of_a_job_is_one(kind: str) -> None:
    assert decode(job_format.example(kind)).kind == kind


@pytest.mark.parametrize("kind", KINDS)
def test_schema_names_the_fields_of_the_example(kind: str) -> None:
    schema = job_format.schema(MODELS[kind])

    assert json.loads(job_format.example(kind)).keys() <= schema["properties"].keys()
    assert set(schema["required"]) <= json.loads(job_format.example(kind)).keys()
