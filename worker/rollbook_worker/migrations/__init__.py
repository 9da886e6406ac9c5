"""The schema, migration by migration. Workers of the previous version run during a migration, and for a while after it.

So a change takes two migrations: *expand*, then, a release later, *contract*. A migration may at once

- create tables, views, functions and nullable columns (or with a constant default),
- build an index, `CONCURRENTLY` and in `op.get_context().autocommit_block()` if its table can be large; the
  migration begins with `DROP INDEX CONCURRENTLY IF EXISTS`, because an interrupted one leaves an invalid index,
- add a constraint as `NOT VALID`, and validate it in the next migration, which does not block writers.

It may remove or rename what the last release uses only in the release after that, and says so with
`contracts = "what no release uses any more"`. Maintenance changes rows, a few at a time, never a migration: one that
rewrites a table locks it for as long as that takes. `tests/store/test_migrations.py` checks these rules.

A statement that waits for a lock makes every later statement on the table wait, readers too. `locking` bounds that.
"""
