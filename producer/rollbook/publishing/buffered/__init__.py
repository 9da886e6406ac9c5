"""Identifies from a hot path, gathered in memory and sent as bulk jobs.

The result is the same as sending one by one, because each user in the bulk job keeps the moment it was told at, and
two of one user in one job keep their order by their places. So nothing has to be flushed before another job: a trigger
or a delete that overtakes the identify it was told after still comes after it. An identify with a `job_id` of the
caller's (its own idempotency key), `occurred_at`, `run_at` or `delay` is sent at once, as is every other kind of job.

What is gathered and not yet sent dies with a process that is killed: at most `max_seconds` of it while the broker
answers. An ordinary exit sends it. While the broker is away it is kept, and calls fail with `BufferFull` once
`max_waiting` is reached; nothing is dropped without an error.
"""

from rollbook.publishing.buffered.buffer import Buffer, BufferFull

__all__ = ["Buffer", "BufferFull"]
