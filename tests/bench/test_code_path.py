"""One identify, and one read, run through few files of ours."""

from __future__ import annotations

from benchmarks.code_path import GOALS, trace


def test_an_identify_and_a_read_run_through_few_files(broker_url: str, database_url: str) -> None:
    found = {name: path.files for name, path in trace(broker_url, database_url).items()}

    assert {name: len(files) <= GOALS[name] for name, files in found.items()} == dict.fromkeys(GOALS, True), found
    assert {"worker/rollbook_worker/store/fact_writer.py", "producer/rollbook/publishing/redis.py"} <= found["identify"]
    assert "producer/rollbook/queries/users.py" in found["users.get"]
