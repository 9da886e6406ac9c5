"""The transport: moves jobs from Redis to a worker. It is kombu's Redis transport, except that a message always has an
owner.

The stock transport takes a message out of its queue first, and records afterwards which worker has it. A worker that
dies between the two steps loses the message. Here both are one step, a Lua script, and so is every other move of a
message. A message is in exactly one of these states:

    waiting        in the list of its queue; each queue has one list per priority
    claimed        in the hash `unacked`, with its queue; `unacked_index` holds the time of the last lease renewal
    done           deleted, because it was acknowledged
    dead letter    waiting or claimed, wrapped in a message for the task that stores dead letters
                   (`rollbook.dead_letter`)

    waiting -> claimed        claim: up to 200 messages or 4 MB in one step, an equal share of each queue, urgent ones
                              first; the same step sends acknowledgements. No claim while 64 MB are in flight.
    claimed -> done           acknowledge: with the next claim, or at once if there is nothing to claim
    claimed -> waiting        release: the worker stops, or its queue is cancelled. To the head of the queue, in order.
                              restore: the lease expired. Counted, and marked as redelivered.
                              requeue: rejected so that others try it (a child of a prefork pool died, or was killed at
                              its time limit). Counted, to the end of the queue.
                              snooze: it cannot be done now, because Postgres is away and Redis is full. After 5
                              seconds, to the end of the queue, and not counted.
    waiting -> dead letter    claim: the item is not a message
    claimed -> dead letter    the message cannot be read, was rejected for good, or its fifth delivery failed

What a crash leaves. A worker that is killed leaves what it had claimed. Its leases expire, and any other worker puts
the messages back: every worker checks every 5 seconds, so this takes at most 30 + 5 seconds. A worker that is killed
before the claim had nothing. One that is killed after the acknowledgement leaves nothing. One that is killed between
its commit and the acknowledgement leaves a job that is done, and it will be done again: messages are delivered at least
once, and jobs may be applied any number of times. A worker that loses its connection releases what it can on another
connection. It keeps acknowledgements, and what it could not release, for the next connection, so that a crash of Redis
counts against no message. What Redis itself keeps depends on its own settings (`appendonly`).

The lease is 30 seconds and is renewed every 10 seconds. That is short enough that no message waits for long, and long
enough for two failed renewals, for a Redis that does not answer for 5 seconds (`socket_timeout`), and for a failover by
Sentinel. A thread renews it, because a worker with the solo pool does nothing else while a task runs. So a task may
take as long as it likes, unless it hangs: 15 minutes after the claim other workers get its message, although its worker
lives.

A message that kills its worker would come back for ever, together with the messages that were claimed with it. So
failed deliveries are counted, and the fifth makes a dead letter (`kills_worker`). The limit is five because workers are
also killed for other reasons, such as a deployment that does not wait. After two failed deliveries a message is a
*poison suspect*: only a worker that holds nothing else claims it, so that the next deaths count for it alone.

A Redis that is full must be emptied. So no script begins with a command that needs memory: Redis lets a script finish
that began with a command that needs none.

The queues belong to one store, the database whose id is noted beside them. The first claim notes it; a claim of a
worker of another store takes nothing, so that two databases never share the jobs of one queue.

A script that fails is not undone. So it asks what may fail before it removes a message from where it was: keys may be
of another type, and entries of `unacked` may be broken, when another program writes there.

The format in Redis is kombu's: stock producers, stock workers next to ours, `celery inspect` and Flower work as usual.
`poller` explains how an idle worker learns of new messages. `rollbook_worker.celery_ext.privates` lists what this
package uses of kombu without a promise.
"""

from rollbook_worker.celery_ext.transport.transport import LeasedConnection

__all__ = ["LeasedConnection"]
