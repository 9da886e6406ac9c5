"""Heartbeat file: shows whether a process is healthy, without a question to Redis or Postgres.

A supervisor that asks through the broker (`celery inspect ping`) needs a second and a half, and kills every worker when
the broker is away. Instead, a healthy process touches the file of ROLLBOOK_HEALTH_FILE every second, and `python -m
rollbook_worker.health` checks its age. A process that hangs, is stopped or has died lets the file grow old; a process
that ends removes it. The file has one of two states:

*alive*: the main loop turns, or waits for a server that is away; a restart would not help.
*ready*: it also takes jobs.
"""
