"""The core on Postgres: a batch of jobs is one transaction, safe to run any number of times, by any worker, in any
order.

    enter the jobs            a row each in `jobs`; others are duplicates, or dead (another job with the same id)
    lock the cluster roots    in id order: the transaction that holds a root may read and rewrite the cluster
    upsert the users          one sorted upsert, newest per key; it creates and locks in one statement
      a cluster not locked?   roll back, and begin again by locking it too
      a list of stamps full?  move the identify stamps out of the user's row
    insert events and rows    they never change, so ON CONFLICT DO NOTHING
    apply newest updates      an identify that is newer than all else of its cluster changes what readers see by itself
    recompute the clusters    for others: read the members' facts, `project`, write what readers see and who owns what
    read erasure receipts     only for late facts; erased deletes are restored in the same way

Jobs are entered before any user is locked, roots before users, each in id order: so transactions on users without
merges cannot deadlock. What was read of clusters before locking may be out of date, so others can, and are run again.
"""

from rollbook_worker.store.postgres import PostgresStore
from rollbook_worker.store.received_jobs import Outcome, ReceivedJob, Store

__all__ = ["Outcome", "PostgresStore", "ReceivedJob", "Store"]
