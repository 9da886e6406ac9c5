"""Whether this process is well, told in a file, so that asking needs neither Redis nor Postgres.

A supervisor that asks through the broker (`celery inspect ping`) takes a second and a half, and kills every worker when
it is the broker that is away. Here a process that is well touches the file of ROLLBOOK_HEALTH_FILE each second, and
`python -m rollbook_worker.health` looks how old it is. A process that hangs, is stopped or has died lets it grow old;
one that has ended takes it away. It says two things:

*alive*: the main loop turns, or waits for a server to come back, which restarting would not hasten.
*ready*: it also takes jobs.
"""
