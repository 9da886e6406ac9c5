"""The fold on Postgres: a batch of jobs is one transaction, safe to run any number of times, by anyone, in any order.

    admit the jobs            a row each in `jobs`; those already there are duplicates, or dead (another job, same id)
    lock the family heads     in id order: who holds a family's head may read and rewrite the family
    tell the users            one sorted upsert, newest per key; it creates and locks in one statement
      a family not yet held?  roll back, and begin again holding it too
      a list of sightings that is full?  move it out of the user's row
    insert endings and rows   they never change, so ON CONFLICT DO NOTHING
    refold the families       read the members' facts, `default`, write what is shown and who owns what
    ask for receipts          only of what comes late; erased deletes are written in the same way

Jobs are admitted before any user is locked, heads before users, each in id order: so transactions on plain users
cannot deadlock. What was read of families before locking may be out of date, so others can, and are run again.
"""

from rollbook_worker.store.postgres import PostgresStore
from rollbook_worker.store.received_jobs import Outcome, ReceivedJob, Store

__all__ = ["Outcome", "PostgresStore", "ReceivedJob", "Store"]
