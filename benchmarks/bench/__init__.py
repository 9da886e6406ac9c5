"""Compares Rollbook with what users would write instead: `./run bench`.

Each of the `experiments/` measures some of the keys in `goals`. The `contenders/` are the ways from the broker to
Postgres that are compared; the `baselines/` are the programs that users would write. `report`, `plot` and `pages` show
the results.
"""
