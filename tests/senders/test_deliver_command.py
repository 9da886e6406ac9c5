"""`rollbook deliver` as a process: from a trigger in Postgres to a real mail server and a real webhook."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from tests.support.builders import user
from tests.support.deliveries import DeliveryStore
from tests.support.metrics import answers, value
from tests.support.operations.findings import MARKED
from tests.support.python_processes import spawn_python
from tests.support.senders.http_sink import HttpSink, http_sink
from tests.support.senders.mail_server import MailServer, mail_server
from tests.support.waits import DEADLINE_SECONDS, wait_until

from rollbook import Rollbook
from rollbook.models import DeliveryState
from rollbook_ops.devstack import processes
from rollbook_ops.devstack.endpoint import free_port
from rollbook_shared import jobs


class Product:
    """A registry and templates, a worker's store, and processes that deliver."""

    def __init__(self, database_url: str, broker_url: str, folder: Path, mail: MailServer, hook: HttpSink) -> None:
        self.folder, self.mail, self.hook = folder, mail, hook
        self.registry = folder / "registry.toml"
        self.registry.write_text(
            f"""
            [channels.mail]
            type = "email"
            delivery = "smtp"
            [channels.mail.options]
            host = "127.0.0.1"
            port = {mail.port}
            tls = "none"
            from = "Example <hello@example.com>"
            concurrency = 1
            [channels.push]
            type = "push"
            delivery = "webhook"
            needs = "nothing"
            [channels.push.options]
            url = "http://127.0.0.1:{hook.port}/"
            secret_envs = ["HOOK_SECRET"]
            allow_private = true
            [workflows.comment]
            channels = ["mail", "push"]
            """
        )
        (folder / "templates" / "comment").mkdir(parents=True)
        (folder / "templates" / "comment" / "mail.liquid").write_text(
            "---\nsubject: Hello {{ recipient.name }}\n---\n{{ data.text }}\n"
        )
        self.store = DeliveryStore(database_url)
        self.store.reset(self.registry.read_text())
        self.rb = Rollbook(database_url=database_url, broker_url=broker_url, registry=str(self.registry))
        self.env = os.environ | {
            "ROLLBOOK_DATABASE_URL": database_url,
            "ROLLBOOK_BROKER_URL": broker_url,
            "ROLLBOOK_REGISTRY": str(self.registry),
            "ROLLBOOK_TEMPLATES": str(folder / "templates"),
            "HOOK_SECRET": "whsec_" + "A" * 44,
        }
        self.running: list[subprocess.Popen[bytes]] = []
        self._jobs = 0

    def deliver(self, *arguments: str, **settings: str) -> subprocess.Popen[bytes]:
        """Start a process that delivers."""
        log = self.folder / f"deliver-{len(self.running)}.log"
        command = ["-m", "rollbook_ops.cli", "deliver", *arguments]
        self.running.append(spawn_python(command, log=log, env=self.env | settings))
        return self.running[-1]

    def trigger(self, *, channels: tuple[str, ...]) -> None:
        """Ann comes into being, and something happens for her."""
        self._jobs += 1
        now = self.store.now()
        ann = user(f"{MARKED}-{self._jobs}", name=MARKED, email=f"{MARKED}@example.com")
        made = {"workflow": "comment", "actor": None, "data": {"text": MARKED}, "channels": channels}
        self.store.apply(
            jobs.Identify(id=f"identify-{self._jobs}", occurred_at=now - 2, user=ann),
            jobs.Trigger.model_validate(
                {"id": f"trigger-{self._jobs}", "occurred_at": now - 1, "recipients": (ann.id,), **made}
            ),
        )

    def states(self) -> list[str]:
        return sorted(row["state"] for row in self.store.rows())

    def logs(self) -> str:
        return "".join(path.read_text() for path in self.folder.glob("deliver-*.log"))

    def close(self) -> None:
        for process in self.running:
            processes.stop(process, by=signal.SIGKILL)
        self.rb.close()
        self.store.close()


@pytest.fixture
def product(database_url: str, broker_url: str, tmp_path: Path) -> Iterator[Product]:
    with mail_server() as mail, http_sink() as hook:
        product = Product(database_url, broker_url, tmp_path, mail, hook)
        yield product
        product.close()


def test_a_trigger_reaches_a_mailbox_and_a_webhook(product: Product) -> None:
    port, health = free_port(), product.folder / "health"
    process = product.deliver(ROLLBOOK_METRICS_PORT=str(port), ROLLBOOK_HEALTH_FILE=str(health))
    product.trigger(channels=("email", "push"))

    wait_until(lambda: product.states() == ["sent", "sent"], what="both sent")
    wait_until(lambda: health.exists() and health.read_text().strip() == "ready", what="a healthy process")

    (mail,) = product.mail.mails
    assert (mail["Subject"], mail["To"].addresses[0].addr_spec) == (f"Hello {MARKED}", f"{MARKED}@example.com")
    assert mail.get_content().strip() == MARKED
    (post,) = product.hook.posts
    ids = {str(row["message_id"]): row["channel"] for row in product.store.rows()}
    assert ids[post.headers["webhook-id"]] == "push"
    assert ids[mail["Message-ID"].partition("@")[0].removeprefix("<")] == "mail"
    wait_until(lambda: answers(port), what="metrics")
    name = 'rollbook_delivery_attempts_total{channel="mail",outcome="sent",reason=""}'
    assert value(port, name) == 1

    # what it is stopped with is completed
    product.mail.hangs_at = "DATA"
    product.trigger(channels=("email",))
    product.mail.thread.run(product.mail.hung.wait())
    process.send_signal(signal.SIGTERM)
    product.mail.close_connections()
    assert process.wait(DEADLINE_SECONDS) == 0
    assert product.states() == ["failed", "sent", "sent"]
    assert not health.exists()
    assert MARKED not in product.logs()


def test_a_process_that_dies_leaves_its_message_to_another(product: Product) -> None:
    product.mail.hangs_at = "DATA"
    first = product.deliver("--channel", "mail")
    product.trigger(channels=("email",))
    product.mail.thread.run(product.mail.hung.wait())
    first.kill()
    first.wait(DEADLINE_SECONDS)
    assert product.states() == ["claimed"]

    product.mail.hangs_at = None
    product.deliver("--channel", "mail")
    product.store.later(timedelta(minutes=5))  # the lease ends; the message is not too old
    wait_until(lambda: product.states() == ["sent"], what="another sender")

    (row,) = product.store.rows()
    assert (row["claims"], len(product.mail.mails)) == (2, 1)
    assert product.mail.mails[0]["Message-ID"].startswith(f"<{row['message_id']}@")


def test_an_error_of_a_template_gives_the_message_up(product: Product) -> None:
    template = product.folder / "templates" / "comment" / "mail.liquid"
    template.write_text("---\nsubject: {{ data.nothing }}\n---\nx")
    product.trigger(channels=("email",))
    product.deliver("--channel", "mail")

    wait_until(lambda: product.states() == ["undeliverable"], what="giving up")

    (row,) = product.store.rows()
    (status,) = product.rb.deliveries.list(state=DeliveryState.UNDELIVERABLE).items
    assert status.reason == row["reason"]
    assert row["reason"].startswith("template comment/mail.liquid:")
    assert product.mail.mails == []


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"HOOK_SECRET": ""}, "HOOK_SECRET, which is not set"),
        ({"ROLLBOOK_REGISTRY": ""}, "ROLLBOOK_REGISTRY is not set"),
        ({"ROLLBOOK_TEMPLATES": "/nowhere"}, "/nowhere cannot be read"),
    ],
)
def test_it_does_not_start_with_what_cannot_be_used(product: Product, change: dict[str, str], error: str) -> None:
    process = product.deliver(**change)

    assert process.wait(DEADLINE_SECONDS) == 2
    assert error in product.logs()
    assert "Traceback" not in product.logs()
