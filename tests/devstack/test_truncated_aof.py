"""A server that was killed within a transaction keeps the jobs that it confirms afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.brokers import REDIS, REDIS_NEEDED, connect_to_broker
from tests.support.truncated_aof import HALF

from rollbook_ops.devstack import Servers, append_only_file

pytestmark = pytest.mark.servers


@pytest.mark.parametrize(
    "program", [None, pytest.param(Path(REDIS or ""), marks=REDIS_NEEDED)], ids=["valkey", "redis"]
)
def test_jobs_confirmed_after_half_a_transaction_survive_the_next_kill(program: Path | None) -> None:
    with (
        Servers(
            database_url="postgresql://not-needed", append_only=True, append_fsync="always", valkey_program=program
        ) as servers,
        connect_to_broker(servers.broker_url) as client,
    ):
        server = servers.valkey
        client.lpush("default", "before")
        server.kill()
        (file,) = (server.home / append_only_file.FOLDER).glob("*.incr.aof")
        with file.open("ab") as end:
            end.write(HALF)
        server.start()
        client.lpush("default", "after")
        assert client.lrange("default", 0, -1) == [b"after", b"before"]

        server.kill()
        server.start()

        assert client.lrange("default", 0, -1) == [b"after", b"before"]


def test_a_program_without_a_checker_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / append_only_file.FOLDER).mkdir()
    (tmp_path / append_only_file.FOLDER / "appendonly.aof.manifest").write_text("no manifest")

    append_only_file.repair(tmp_path, tmp_path / "valkey-server")
    append_only_file.repair(tmp_path, tmp_path / "a-program-of-another-name")
