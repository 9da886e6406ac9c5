"""Rollbook under faults: `./run chaos`.

`plan` derives the whole run from one seed: the jobs (`jobs`), which producer sends which of them when and how often
(`deliveries`), and the faults (`faults`). `run` executes the plan. The `environment` has real servers behind `proxy`s;
the `supervisor` runs workers, maintenance and relays; producers (`producer`) send; the `nemesis` injects the faults.
`history` collects what the producers recorded and what Postgres shows, and `checker` compares that with the reference.
The words are those of Jepsen.
"""
