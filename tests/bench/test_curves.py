"""The curves measure what they say: every operation does its work at every kind of point."""

from __future__ import annotations

import pytest
from benchmarks.curves import points
from benchmarks.curves.measurement import measure
from benchmarks.curves.operations import OPERATIONS

from rollbook import UserNotFound
from rollbook_ops.devstack import Servers


@pytest.mark.slow
def test_all_users_of_a_point_have_so_many_ids(servers: Servers) -> None:
    with points.CURVES["ids"].point(servers, 3) as point:
        costs = measure({3: point}, OPERATIONS, 1)[3]

        assert set(costs) == set(OPERATIONS)
        assert all(cost.ours_us > 0 and cost.postgres_us > 0 for cost in costs.values())
        assert len(point.rb.feeds.list(point.reader, limit=50).items) == points.FEED_MESSAGES
        with pytest.raises(UserNotFound) as found:
            point.rb.users.get(f"{point.reader[:-6]}000002")
        assert found.value.merged_into == point.reader
