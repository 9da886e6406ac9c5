"""Rollbook under faults: `./run chaos`.

`plan` derives the whole run from one seed: the jobs (`jobs`), which producer sends which of them when and how often
(`deliveries`), and the faults (`faults`). `run` executes the plan. The `environment` has real servers behind `proxy`s;
the `supervisor` runs workers, maintenance, relays and senders; producers (`producer`) send; the `nemesis` injects the
faults.
`history` collects what the producers recorded and what Postgres shows, and `checker` compares that with the reference.
Messages leave through `rollbook deliver` (`deliver_process`) to a `sink`, and through an application's sender that lies
at times (`own_sender`); `delivery_journal` has what they did, and `delivery_checker` what must hold of it.
With `--namespaces` each process and each server is in a network of its own (`namespaces`, `servers_at_nodes`), and a
`packet_network` carries what they send, in place of the proxies.
The words are those of Jepsen.
"""
