"""How jobs get from Redis to a worker: kombu's Redis transport, but that a message is always somebody's.

Stock takes a message out of its queue and only then notes who has it; whoever dies between the two takes it along. Here
taking and noting are one step, a Lua script, as is everything else that moves a message. A message is in exactly one of
these states:

    waiting    in the list of its queue, one list for each priority
    claimed    in the hash `unacked`, with its queue; `unacked_index` says when its lease was last renewed
    done       nowhere: it was acknowledged
    a letter   waiting or claimed, wrapped in a message for the task that keeps dead letters (`rollbook.dead_letter`)

    waiting -> claimed     claim: up to 200 or 4 MB at once, a share of each queue, urgent ones first, acknowledging on
                           the way; nothing beside 64 MB in hand
    claimed -> done        acknowledge: with the next claim, or at once when there is nothing to claim
    claimed -> waiting     give back: the worker ends, or its queue is cancelled; at the head of the queue, in order
                           restore: the lease has ended; counted, and marked as redelivered
                           requeue: rejected for others to try (a child of a prefork pool died, or was ended for its
                           time); counted, at the end
                           put off: this is no time for it, Postgres being away and Redis full; 5 seconds later, at the
                           end, and not counted
    waiting -> a letter    claim: the item is no message
    claimed -> a letter    what cannot be read, is rejected for good, or was delivered for nothing for the fifth time

What a crash leaves. A worker that is killed leaves what it had claimed; its leases end, and any other worker, which all
look every 5 seconds, puts it back: within 30 + 5 seconds. Killed before the claim it had nothing, killed after the
acknowledgement it owes nothing, killed between its commit and the acknowledgement it leaves a job that is done, which
is done again: messages are delivered at least once, and jobs may be applied any number of times. A worker that is cut
off gives back what it can on another connection; acknowledgements, and what it could not give back, it keeps for the
next, so that a Redis that crashes counts against no message. Redis itself keeps what its own settings say
(`appendonly`).

The lease is 30 seconds, renewed every 10: short enough that nobody waits for long, and long enough for two renewals to
fail, for a Redis that does not answer for 5 seconds (`socket_timeout`), for the failover of a Sentinel. A thread renews
it, since a worker of the solo pool is deaf while a task runs. So a task may take as long as it likes, but for one that
hangs: 15 minutes after the claim its message goes to others, though its worker lives.

A message that kills its worker would come back for ever, and its companions with it. Deliveries that come to nothing
are counted: the fifth makes a dead letter, `kills_worker`. Five, because workers are killed for reasons of their own,
such as a deployment that does not wait. A message that came to nothing twice is a suspect, and is claimed only by a
worker that holds nothing else, so that the next deaths count for it alone.

A Redis that is full must be emptied, so no script begins with a command that needs memory: after one that needs none,
Redis lets a script end what it began.

On the wire all is as stock has it: its producers, its workers beside ours, `celery inspect`, revoking, Flower. Where an
idle worker's news come from is in `wakeup`; what is built on of kombu's that it promises to nobody, in `stock`.
"""

from rollbook_worker.celery_ext.transport.connection import Connection

__all__ = ["Connection"]
