"""The schema, step by step. Workers of the version before go on while a step is taken, and for a while after.

So a change is made in two: *expand*, then, a release later, *contract*. A migration may at once

- create tables, views, functions and nullable columns (or with a constant default),
- build an index, `CONCURRENTLY` and in `op.get_context().autocommit_block()` if its table can be large; it begins with
  `DROP INDEX CONCURRENTLY IF EXISTS`, since one that was cut short leaves an index that is invalid,
- add a constraint as `NOT VALID`, and validate it in the next migration, which locks nobody out.

It may take away or rename what the last release uses only in the release after, and says so with
`contracts = "what no release uses any more"`. Rows are changed by maintenance, a few at a time, never here: a
migration that
rewrites a table locks it for as long as that takes. `tests/store/test_migrations.py` holds migrations to this.

A statement that has to wait for a lock makes everybody wait who comes after it, readers too. `locking` bounds that.
"""
