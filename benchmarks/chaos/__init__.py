"""Rollbook under faults: `./run chaos`.

`plan` derives the whole run from one seed: the jobs (`jobs`), which producer sends which of them when and how often
(`deliveries`), and the faults (`faults`). `run` executes the plan. The `environment` has real servers behind `proxy`s;
the `supervisor` runs workers, maintenance, relays and senders; producers (`producer`) send; the `nemesis` injects the
faults.
`history` collects what the producers recorded and what Postgres shows, and `checker` compares that with the reference.
Messages leave through `rollbook deliver` (`deliver_process`) to a `sink`, and through an application's sender that lies
at times (`own_sender`); `delivery_journal` has what they did, and `delivery_checker` what must hold of it.
The words are those of Jepsen.
"""
