"""The relay: sends the jobs that committed transactions wrote to an application's outbox."""
