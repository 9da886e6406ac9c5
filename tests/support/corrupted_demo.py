"""`rollbook`, whose demo finds a row that was corrupted before it compares: `python -m tests.support.corrupted_demo`.

It prints `corrupted USER`.
"""

from __future__ import annotations

import sys

import psycopg

from rollbook_ops.cli import main
from rollbook_ops.demo import scenario
from rollbook_ops.demo.demo_database import DemoDatabase
from rollbook_ops.demo.postgres_world import read_world
from rollbook_shared.reference.world import World


def corrupt_and_read(database: DemoDatabase) -> World:
    """The world, after a worker has made a mistake."""
    user_id = max(user for user in read_world(database)["users"] if user.startswith("user_"))
    print(f"corrupted {user_id}", file=sys.stderr)
    with psycopg.connect(database.url) as connection:
        connection.execute(
            "UPDATE rollbook.users SET profile = profile || '{\"p.seats\": 9999}', "
            "resolved_profile = resolved_profile || '{\"p.seats\": 9999}' WHERE id = %s",
            (user_id,),
        )
    return read_world(database)


if __name__ == "__main__":
    setattr(scenario, "read_world", corrupt_and_read)  # noqa: B010
    main()
