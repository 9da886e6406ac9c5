"""Rollbook measured beside what users would write instead: `./run bench`.

`experiments/` measure, each some of the keys in `goals`; `sides/` are the ways from the broker to Postgres that are
compared; `yardsticks/` are the programs that users would write. `report`, `plot` and `pages` show what came out.
"""
