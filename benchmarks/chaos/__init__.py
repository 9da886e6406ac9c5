"""Rollbook under fire: `./run chaos`.

`plan` says from one seed what will happen: the jobs (`jobs`), who sends which of them when and how often
(`deliveries`), and what goes wrong meanwhile (`schedule`). `run` lets it happen: on a `stage` of real servers behind
`proxy`s, with a `crew` of workers, maintenance and relays, and producers (`producer`) beside them, it strikes the
`blows`.
`evidence` gathers what came of it and `verdict` judges that, by the plain reference of the demo.
"""
