"""`rollbook templates`: what the check and the preview print, and how they exit."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.builders import identify
from tests.support.templates import write_templates
from typer.testing import CliRunner, Result

from rollbook_ops.cli.app import app
from rollbook_shared.jobs.codec import encode
from rollbook_worker.store import PostgresStore, ReceivedJob

Run = Callable[..., Result]
FILES = {
    "welcome/mail.html.liquid": "---\nsubject: Hi {{ recipient.name }}\n---\n<p>{{ recipient.name }}{{ data.x }}</p>",
    "welcome/mail.txt.liquid": "{{ recipient.name }}\n[bold]{{ actor.properties.team }}{{ tenant.id }}{{ data.x }}",
}


@pytest.fixture(scope="module")
def filled(database_url: str) -> str:
    jobs = [identify("ann", at=1, name="Ann <b>"), identify("bo", at=1, team="blue\x1b[31m")]
    store = PostgresStore(database_url)
    store.apply([ReceivedJob.of(encode(job)) for job in jobs], now=time.time_ns() // 1_000)
    store.close()
    return database_url


@pytest.fixture
def run(filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    write_templates(tmp_path / "templates", FILES)
    (tmp_path / "registry.toml").write_text(
        '[channels.mail]\ntype = "email"\n[workflows.welcome]\nchannels = ["mail"]', encoding="utf-8"
    )
    monkeypatch.setenv("ROLLBOOK_DATABASE_URL", filled)
    monkeypatch.setenv("ROLLBOOK_TEMPLATES", "templates")
    monkeypatch.setenv("ROLLBOOK_REGISTRY", "registry.toml")
    return lambda *arguments: CliRunner().invoke(app, ["templates", *arguments])


def test_a_check_without_problems_succeeds(run: Run) -> None:
    result = run("check")

    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "2 templates, 0 problems\n"


def test_a_check_with_problems_names_them_and_fails(run: Run, tmp_path: Path) -> None:
    write_templates(tmp_path / "other", {"welcome/sms.liquid": "\n{{ nmae }}"})

    result = run("check", "other")
    as_json = run("check", "other", "--json")

    assert result.exit_code == as_json.exit_code == 1
    assert result.stdout == (
        "welcome/sms.liquid: the workflow `welcome` has no channel `sms`, and none of this type\n"
        "welcome/sms.liquid:2: there is no variable `nmae`\n"
    )
    assert json.loads(as_json.stdout)["templates"] == 1
    assert json.loads(as_json.stdout)["problems"][1] == {
        "template": "welcome/sms.liquid",
        "line": 2,
        "reason": "there is no variable `nmae`",
    }


def test_a_preview_shows_text_and_writes_html(run: Run, tmp_path: Path) -> None:
    result = run(
        *("preview", "ann", "welcome", "mail", "--actor", "bo", "--tenant", "acme", "--data", '{"x": "\\u009b2J<i>"}')
    )

    assert result.exit_code == 0, result.stderr
    assert result.stdout == "subject Hi Ann <b>\nAnn <b>\n[bold]blue\\x1b[31macme\\x9b2J<i>\n"
    assert (tmp_path / "welcome-mail.html").read_text() == "<p>Ann &lt;b&gt;\x9b2J&lt;i&gt;</p>"
    assert "welcome-mail.html" in result.stderr


def test_a_preview_of_a_feed_item_shows_where_it_leads(run: Run, tmp_path: Path) -> None:
    item = "---\ntitle: To {{ recipient.name }}\naction_url: /x/{{ data.x }}\n---\nRead it"
    write_templates(tmp_path / "templates", {"comment/in_app.liquid": item})

    result = run("preview", "ann", "comment", "in_app", "--data", '{"x": 7}')

    assert (result.exit_code, result.stdout) == (0, "title To Ann <b>\naction_url /x/7\nRead it\n")


def test_a_preview_as_json_writes_no_file(run: Run, tmp_path: Path) -> None:
    result = run("preview", "ann", "welcome", "email", "--actor", "bo", "--tenant", "t", "--data", '{"x": 1}', "--json")

    assert json.loads(result.stdout) == {
        "subject": "Hi Ann <b>",
        "title": None,
        "text": "Ann <b>\n[bold]blue\x1b[31mt1",
        "html": "<p>Ann &lt;b&gt;1</p>",
        "action_url": None,
    }
    assert not list(tmp_path.glob("*.html"))


@pytest.mark.parametrize(
    ("arguments", "code", "wanted"),
    [
        (("preview", "ann", "welcome", "mail", "--actor", "bo"), 1, "`data.x` is missing"),
        (("preview", "ann", "welcome", "sms"), 1, "welcome/sms: there is no template"),
        (("preview", "nobody", "welcome", "mail"), 1, "user not found"),
        (("preview", "ann", "welcome", "mail", "--data", "[1]"), 2, "--data: must be a JSON object"),
        (("preview", "ann", "welcome", "mail", "--data", "{"), 2, "--data: must be a JSON object"),
        (("preview", "ann", "welcome", "mail", "--data", '{"a": "\\u0000"}'), 2, "--data.a: holds a NUL character"),
        (("check", "none"), 2, "the folder of templates none cannot be read: No such file or directory"),
    ],
)
def test_what_fails_says_why(run: Run, arguments: tuple[str, ...], code: int, wanted: str) -> None:
    result = run(*arguments)

    error = result.stderr if result.exception is None or isinstance(result.exception, SystemExit) else ""
    assert wanted in (error or str(result.exception))
    assert code == result.exit_code or not error


def test_without_a_folder_the_setting_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROLLBOOK_TEMPLATES")

    assert "ROLLBOOK_TEMPLATES is not set" in str(run("check").exception)


@pytest.mark.parametrize("workflow", ["../../etc", "a/b", "..", "\x1b[2J"])
def test_html_is_written_to_the_working_directory(run: Run, workflow: str, tmp_path: Path) -> None:
    write_templates(tmp_path / "templates", {"_default/mail.html.liquid": "<p>"})

    result = run("preview", "ann", workflow, "mail")

    assert result.exit_code == 0, result.stderr
    (file,) = tmp_path.glob("*.html")
    assert set(file.name) <= set("abcdefghijklmnopqrstuvwxyz0123456789J_-.")
